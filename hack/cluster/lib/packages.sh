# shellcheck shell=bash
# Debian's packages that the node variant needs.

node_packages=(containerd runc containernetworking-plugins iptables conntrack buildah debootstrap iproute2 openssl
  procps util-linux ca-certificates)

install_packages() {
  local package missing=()
  for package in "${node_packages[@]}"; do
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0
  step "$cache/log/apt-update.log" "refreshing apt's lists" apt-get update -q
  step "$cache/log/apt-install.log" "installing ${missing[*]}" \
    env DEBIAN_FRONTEND=noninteractive apt-get install -qy --no-install-recommends "${missing[@]}"
}
