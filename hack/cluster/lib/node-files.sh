# shellcheck shell=bash
# What the node's parts read: certificates and configuration. An existing certificate is kept.

key_options=(-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes)

make_certificates() {
  [[ -f $pki/done ]] && return
  openssl req -x509 "${key_options[@]}" -keyout "$pki/ca.key" -out "$pki/ca.crt" -subj /CN=cluster -days 365 \
    -addext keyUsage=critical,keyCertSign,cRLSign 2>/dev/null # Python 3.13 and later insist on it
  certificate apiserver /CN=kube-apiserver \
    "IP:127.0.0.1,IP:$address,IP:$first_service,DNS:kubernetes.default.svc,DNS:localhost"
  certificate admin /O=system:masters/CN=admin DNS:admin
  openssl genrsa -out "$pki/sa.key" 2048 2>/dev/null
  touch "$pki/done"
}

certificate() { # NAME SUBJECT ALTERNATIVE-NAMES
  openssl req "${key_options[@]}" -keyout "$pki/$1.key" -out "$pki/$1.csr" -subj "$2" 2>/dev/null
  openssl x509 -req -in "$pki/$1.csr" -CA "$pki/ca.crt" -CAkey "$pki/ca.key" -CAcreateserial -days 365 \
    -out "$pki/$1.crt" -extfile <(printf 'subjectAltName=%s\nauthorityKeyIdentifier=keyid' "$3") 2>/dev/null
}

# kube-proxy ends when its file is touched: an equal one stays as it is.
put() { # FILE, from stdin
  cat > "$1.new"
  if cmp -s "$1.new" "$1"; then rm "$1.new"; else mv "$1.new" "$1"; fi
}

write_configuration() {
  # Certificates inline: a test copies the file to play another user.
  put "$kubeconfig" <<X
apiVersion: v1
kind: Config
clusters:
  - {name: $name, cluster: {server: "https://$address:6443", certificate-authority-data: "$(base64 -w0 "$pki/ca.crt")"}}
users:
  - name: admin
    user:
      client-certificate-data: "$(base64 -w0 "$pki/admin.crt")"
      client-key-data: "$(base64 -w0 "$pki/admin.key")"
contexts:
  - {name: $name, context: {cluster: $name, user: admin}}
current-context: $name
X
  chmod 600 "$kubeconfig"
  put "$state/cni/10-pods.conflist" <<X
{"cniVersion": "1.0.0", "name": "$netns", "plugins": [
  {"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": true, "hairpinMode": true,
   "ipam": {"type": "host-local", "dataDir": "$state/ipam", "ranges": [[{"subnet": "$pods"}]], "routes": [{"dst": "0.0.0.0/0"}]}},
  {"type": "portmap", "capabilities": {"portMappings": true}}]}
X
  # restrict_oom_score_adj: without CAP_SYS_RESOURCE a sandbox cannot lower its score, and runc dies with
  # "can't get final child's PID from pipe".
  put "$state/containerd.toml" <<X
version = 2
root = "$state/containerd"
state = "$run/containerd"
[grpc]
  address = "$run/containerd.sock"
[plugins."io.containerd.internal.v1.opt"]
  path = "$state/opt"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "$pause"
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "$state/cni"
X
  put "$state/resolv.conf" <<< "nameserver $address"
  # No registry can give a collected image back, hence no collection of images. The intervals are short because
  # tests wait for them.
  put "$state/kubelet.yaml" <<X
apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: false}, webhook: {enabled: true}, x509: {clientCAFile: "$pki/ca.crt"}}
authorization: {mode: Webhook}
containerRuntimeEndpoint: "unix://$run/containerd.sock"
cgroupDriver: cgroupfs
cgroupRoot: /$netns
failCgroupV1: false
failSwapOn: false
clusterDNS: [$address]
clusterDomain: cluster.local
resolvConf: "$state/resolv.conf"
podLogsDir: "$state/pod-logs"
volumePluginDir: "$state/plugins"
imageMinimumGCAge: 24h
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 4s
syncFrequency: 10s
volumeStatsAggPeriod: 10s
evictionHard: {nodefs.available: "1%", imagefs.available: "1%", memory.available: 100Mi}
X
  put "$state/kube-proxy.yaml" <<X
apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: iptables
hostnameOverride: $name
clusterCIDR: $pods
clientConnection: {kubeconfig: "$kubeconfig"}
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
X
  put "$state/Corefile" <<X
.:53 {
  bind $address
  ready 127.0.0.1:8181
  kubernetes cluster.local in-addr.arpa {
    kubeconfig $kubeconfig
  }
  cache 5
}
X
}
