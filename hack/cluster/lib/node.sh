# shellcheck shell=bash
# The node variant: every part of a one-node Kubernetes as a process of this machine, in a network namespace.

netns=dg-$name
run=/run/dataguardian/$name
inside=(nsenter "--net=/run/netns/$netns") # `ip netns exec` mounts a new /sys and hides the cgroups
address=10.90.0.1 pods=10.91.0.0/24 services=10.92.0.0/16 first_service=10.92.0.1
pki=$state/pki
parts=(kubelet kube-proxy coredns provisioner kube-scheduler kube-controller-manager kube-apiserver etcd containerd)

kube() { "$state/exec" kubectl "$@"; }

node_up() {
  ((UID == 0)) || die "the node variant needs root"
  install_packages
  local kubernetes coredns provisioner helm
  kubernetes=$(program kubernetes) coredns=$(program coredns) provisioner=$(program provisioner) helm=$(program helm)
  install -d -m 0700 "$state"
  mkdir -p "$state"/{pki,log,cni,bin,volumes} "$run"
  ln -sfn "$kubernetes/kubectl" "$state/bin/kubectl"
  ln -sfn "$helm/helm" "$state/bin/helm"
  forget_last_boot
  make_network
  make_cgroups
  make_certificates
  write_configuration
  write_exec "${inside[*]}"
  start_node
}

# After a restart of the machine there are no processes, mounts or networks; what is recorded of them misleads.
forget_last_boot() {
  [[ -f $state/boot && $(< "$state/boot") == "$(boot)" ]] && return
  end_containers
  rm -rf "${run:?}" "$state/ipam" "$state"/*.process
  mkdir -p "$run"
  boot > "$state/boot"
}

make_network() {
  if ! "${inside[@]}" true 2> /dev/null; then
    rm -f "/run/netns/$netns" # the file outlives a namespace
    ip netns add "$netns"
  fi
  "${inside[@]}" ip link set lo up
  # A bridge holds the node's address: not every kernel has dummy devices.
  "${inside[@]}" ip link show node0 > /dev/null 2>&1 || "${inside[@]}" ip link add node0 type bridge
  "${inside[@]}" ip addr replace "$address/24" dev node0
  "${inside[@]}" ip link set node0 up
  "${inside[@]}" ip route replace default dev node0
  "${inside[@]}" sysctl -qw net.ipv4.ip_forward=1
}

# The pods' cgroups are below one of our own, so that two clusters do not tidy up each other's.
cgroups() {
  if [[ -f /sys/fs/cgroup/cgroup.controllers ]]; then
    echo "/sys/fs/cgroup/$netns"
  else
    awk -v leaf="$netns" '$3 ~ /^cgroup2?$/ {print $2 "/" leaf}' /proc/mounts
  fi
}

make_cgroups() {
  local folder file controller
  while read -r folder; do
    mkdir -p "$folder"
    for file in cpuset.cpus cpuset.mems; do # version 1: empty sets take no process
      [[ ! -f $folder/$file || -n $(< "$folder/$file") ]] || cat "$(dirname "$folder")/$file" > "$folder/$file"
    done
    if [[ -f $folder/cgroup.controllers ]]; then
      for controller in cpuset cpu io memory pids hugetlb; do
        echo "+$controller" > "$(dirname "$folder")/cgroup.subtree_control" 2> /dev/null || true
      done
    fi
  done < <(cgroups)
}

start_node() {
  local api=("--kubeconfig=$kubeconfig")
  # Nothing here outlives the machine: etcd need not wait for the disk.
  ensure etcd "$kubernetes/etcd" --data-dir "$state/etcd" --unsafe-no-fsync \
    --listen-client-urls http://127.0.0.1:2379 --advertise-client-urls http://127.0.0.1:2379 \
    --listen-peer-urls http://127.0.0.1:2380
  ensure kube-apiserver "$kubernetes/kube-apiserver" --etcd-servers=http://127.0.0.1:2379 \
    "--advertise-address=$address" "--service-cluster-ip-range=$services" --authorization-mode=Node,RBAC --allow-privileged \
    "--tls-cert-file=$pki/apiserver.crt" "--tls-private-key-file=$pki/apiserver.key" "--client-ca-file=$pki/ca.crt" \
    --service-account-issuer=https://kubernetes.default.svc \
    "--service-account-key-file=$pki/sa.key" "--service-account-signing-key-file=$pki/sa.key" \
    "--kubelet-client-certificate=$pki/admin.crt" "--kubelet-client-key=$pki/admin.key" \
    --kubelet-preferred-address-types=InternalIP # else `kubectl logs` looks the node's name up
  ensure containerd containerd -c "$state/containerd.toml"
  step "$state/log/wait.log" "waiting: the API server" until_ok 90 kube get --raw /readyz
  ensure kube-controller-manager "$kubernetes/kube-controller-manager" "${api[@]}" --leader-elect=false \
    --use-service-account-credentials "--service-account-private-key-file=$pki/sa.key" "--root-ca-file=$pki/ca.crt" \
    "--flex-volume-plugin-dir=$state/plugins"
  ensure kube-scheduler "$kubernetes/kube-scheduler" "${api[@]}" --leader-elect=false
  ensure kube-proxy "$kubernetes/kube-proxy" "--config=$state/kube-proxy.yaml"
  ensure coredns "$coredns/coredns" -conf "$state/Corefile"
  ensure provisioner "$provisioner/provisioner" "${api[@]}" "--volumes=$state/volumes" "--node=$name"
  step "$state/log/wait.log" "waiting: containerd" until_ok 60 containers version
  base_image
  packaged_image "$pause" pause pause
  ensure kubelet "$kubernetes/kubelet" "--config=$state/kubelet.yaml" "${api[@]}" "--hostname-override=$name" \
    "--node-ip=$address" "--root-dir=$state/kubelet" "--cert-dir=$state/kubelet/pki"
  kube apply -f "$here/lib/storage-class.yaml" > /dev/null
  step "$state/log/wait.log" "waiting: node, cluster DNS, storage class, admission" until_ok 90 node_ready
}

node_ready() {
  local part
  for part in "${parts[@]}"; do pid_of "$part" > /dev/null || return 1; done
  kube wait --for=condition=Ready "node/$name" --timeout=1s &&
    # CoreDNS's own word that it has read the services and answers.
    "$state/exec" bash -c 'exec 3<> /dev/tcp/127.0.0.1/8181 && printf "GET /ready HTTP/1.0\r\n\r\n" >&3 && grep "200 OK" <&3' &&
    kube get storageclass local &&
    # Admission of a pod needs the policies' caches and the namespace's service account.
    kube -n default run probe --image="$pause" --dry-run=server
}
