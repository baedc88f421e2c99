# shellcheck shell=bash
# The kind variant: the same verbs where Docker answers.

base=debian:trixie-slim

kind_() { "$(program kind)/kind" "$@"; }

kind_up() {
  local kubernetes helm
  kubernetes=$(program kubernetes) helm=$(program helm)
  install -d -m 0700 "$state"
  mkdir -p "$state"/{bin,log}
  ln -sfn "$kubernetes/kubectl" "$state/bin/kubectl"
  ln -sfn "$helm/helm" "$state/bin/helm"
  kind_ get clusters 2>/dev/null | grep -qx "$name" ||
    step "$state/log/kind.log" "making the kind cluster $name" kind_ create cluster --name "$name" \
      --kubeconfig "$kubeconfig" --wait 180s
  docker start "$name-control-plane" > /dev/null # stopped since the machine was restarted
  kind_ export kubeconfig --name "$name" --kubeconfig "$kubeconfig" 2> /dev/null
  write_exec ""
  step "$state/log/wait.log" "waiting: node, cluster DNS, storage class, admission" until_ok 180 kind_ready
}

kind_ready() {
  "$state/exec" kubectl wait --for=condition=Ready node --all --timeout=5s &&
    "$state/exec" kubectl -n kube-system rollout status deployment/coredns --timeout=5s &&
    "$state/exec" kubectl get storageclass standard &&
    "$state/exec" kubectl -n default run probe --image=probe --dry-run=server
}

kind_down() {
  kind_ delete cluster --name "$name" --kubeconfig "$kubeconfig"
  rm -rf "${state:?}"
}

base_image() { docker image inspect "$base" > /dev/null 2>&1 || step "$cache/log/base-image.log" "pulling $base" docker pull "$base"; }
base_id() { docker image inspect --format '{{.Id}}' "$base"; }
build_layers() { # IMAGE CONTEXT DOCKERFILE ID-FILE ARGUMENT...
  local arguments=() argument
  for argument in "${@:5}"; do arguments+=(--build-arg "$argument"); done
  docker build --iidfile "$4" --build-arg "BASE=$base" "${arguments[@]}" -t "$1" -f "$3" "$2"
}
save_archive() { docker save -o "$2" "$1"; } # IMAGE ARCHIVE
forget_old_layers() { :; } # Docker collects its build cache itself
import_archive() { kind_ load image-archive "$1" --name "$name"; }
has_image() { docker exec "$name-control-plane" ctr -n k8s.io images ls -q | grep -qx "$1"; }
