# shellcheck shell=bash
# Takes the node variant down. What it kills was recorded by `up`, is in the cluster's own cgroup, or is a
# containerd shim that serves the cluster's own socket.

node_down() {
  local part
  for part in "${parts[@]}"; do stop "$part"; done
  end_containers
  [[ ! -e /run/netns/$netns ]] || ip netns del "$netns" || rm -f "/run/netns/$netns"
  remove_cgroups
  rm -rf "${run:?}" "${state:?}"
  tidy_elsewhere
  rmdir /run/dataguardian 2>/dev/null || true
}

# What other programs keep about our pods where no option moves it: CNI its results, the kubelet links to logs
# and the folder of device plugins.
tidy_elsewhere() {
  local result sandbox others
  for result in /var/lib/cni/results/"$netns"-*-eth0; do
    sandbox=${result##*/"$netns"-}
    rm -f "$result" "/var/lib/cni/results/cni-loopback-${sandbox%-eth0}-lo"
  done
  find /var/log/containers -lname "$state/*" -delete 2>/dev/null || true
  others=(/run/dataguardian/*/containerd.sock) # of any cache: this cluster's is gone by now
  ((${#others[@]})) || rm -rf /var/lib/kubelet/device-plugins/kubelet.sock /run/dataguardian/buildah
  rmdir --ignore-fail-on-non-empty -p /var/lib/cni/results /var/log/containers /var/lib/kubelet/device-plugins 2>/dev/null || true
}

end_containers() {
  until_ok 10 no_containers || die "containers do not end: $(container_pids | xargs)"
  until_ok 10 no_mounts_below "$state" "$run" || die "mounts stay below $state or $run"
}

container_pids() {
  local folder file
  while read -r folder; do
    [[ -d $folder ]] && find "$folder" -name cgroup.procs -exec cat {} + 2>/dev/null
  done < <(cgroups) | sort -un
  for file in /proc/[0-9]*/cmdline; do
    tr '\0' ' ' 2>/dev/null < "$file" | grep -qE "^[^ ]*containerd-shim[^ ]* .*-address $run/containerd.sock( |$)" || continue
    basename "$(dirname "$file")"
  done
}

no_containers() {
  local pids
  pids=$(container_pids)
  [[ -z $pids ]] && return
  xargs -r kill -9 <<< "$pids" 2>/dev/null || true
  return 1
}

remove_cgroups() {
  local folder
  while read -r folder; do
    [[ ! -d $folder ]] || find "$folder" -depth -type d -exec rmdir {} + 2>/dev/null || true
  done < <(cgroups)
}
