# shellcheck shell=bash
# Programs built from pinned Go modules, kept by content: a change of version, source, flags or compiler is a new key.

build_flags=(-trimpath -mod=readonly)

# The module that makes a program.
program_source() {
  local folder
  for folder in "$hack/cluster/programs/$1" "$hack/tools/$1"; do
    [[ -f $folder/go.mod ]] && echo "$folder" && return
  done
  die "no program is called $1"
}

# program NAME: builds it if it is not there, and prints the folder that holds it.
program() {
  local source key folder
  command -v go > /dev/null || die "Go is needed to build $1"
  source=$(program_source "$1")
  key=$(cd "$source" && { hash_of ./*.go go.mod go.sum; echo "${build_flags[*]}"; go env GOVERSION GOOS GOARCH; } |
    sha256sum | cut -c1-16)
  folder=$cache/programs/$1-$key
  [[ -d $folder ]] || locked "program-$1" make_program "$1" "$source" "$folder"
  echo "$folder"
}

make_program() {
  [[ -d $3 ]] && return # another one built it while this one waited for the lock
  rm -rf "$3".*
  mkdir -p "$3.new"
  step "$cache/log/build-$1.log" "building $1 (minutes, once)" compile "$1" "$2" "$3.new"
  mv -T "$3.new" "$3"
}

# A module either has a main.go of its own, or names the program it is for in a `tool` line.
compile() {
  local version flags='-s -w' part what=tool
  cd "$2" || return
  if [[ $1 == kubernetes ]]; then
    version=$(go list -m -f '{{.Version}}' k8s.io/kubernetes)
    IFS=. read -r _ minor _ <<< "$version"
    part=k8s.io/component-base/version
    flags+=" -X $part.gitVersion=$version -X $part.gitMajor=1 -X $part.gitMinor=$minor"
  fi
  [[ -f main.go ]] && what=.
  CGO_ENABLED=0 GOFLAGS='' go build "${build_flags[@]}" -ldflags "$flags" -o "$3/" "$what"
  [[ $1 == kubernetes ]] || return 0
  for part in etcd kube-apiserver kube-controller-manager kube-scheduler kubelet kube-proxy kubectl; do
    ln -s kubernetes "$3/$part"
  done
}
