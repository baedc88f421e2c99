# shellcheck shell=bash
# The node variant's images: buildah, on a Debian base made by debootstrap, into our containerd.

base=localhost/debian:trixie-slim
pause=localhost/pause:1

# Our own storage, so that nothing of the machine's buildah is touched. skip_mount_home: else a mount stays behind.
storage() {
  buildah --root "$cache/buildah" --runroot /run/dataguardian/buildah --storage-driver overlay \
    --storage-opt overlay.skip_mount_home=true "$@"
}

base_id() { storage inspect --type image --format '{{.FromImageID}}' "$base"; }

# What made the base is a label of it: a changed recipe makes a new one.
recipe() { declare -f bootstrap | sha256sum | cut -c1-16; }
base_is_made() { [[ $(storage inspect --type image --format '{{.OCIv1.Config.Labels.recipe}}' "$base" 2> /dev/null) == "$(recipe)" ]]; }
base_image() { base_is_made || locked base-image make_base; }

make_base() {
  base_is_made && return # another one made it while this one waited for the lock
  step "$cache/log/base-image.log" "making the Debian base image" bootstrap
}

# The mirror that the machine's own apt uses.
mirror() { # LABEL
  # shellcheck disable=SC2016 # apt fills these in
  apt-get indextargets --format '$(ORIGIN)|$(LABEL)|$(REPO_URI)' 'Created-By: Packages' |
    awk -F'|' -v label="$1" '$1 == "Debian" && $2 == label {print $3; exit}'
}

bootstrap() {
  local root=$cache/rootfs debian security container
  debian=${DATAGUARDIAN_DEBIAN_MIRROR:-$(mirror Debian)}
  [[ -n $debian ]] || die "apt knows no Debian mirror: set DATAGUARDIAN_DEBIAN_MIRROR"
  security=$(mirror Debian-Security)
  until_ok 5 no_mounts_below "$root" # a debootstrap that was killed leaves its /proc there
  rm -rf "$root"
  debootstrap --variant=minbase --include=ca-certificates trixie "$root" "$debian"
  {
    echo "deb $debian trixie main"
    echo "deb $debian trixie-updates main"
    [[ -z $security ]] || echo "deb $security trixie-security main"
  } > "$root/etc/apt/sources.list"
  # A certificate authority that this machine trusts must be trusted by a RUN step that fetches something, too.
  find /usr/local/share/ca-certificates -name '*.crt' -exec cp -t "$root/usr/local/share/ca-certificates" {} + 2>/dev/null || true
  chroot "$root" update-ca-certificates
  printf 'path-exclude /usr/share/%s/*\n' doc man info locale > "$root/etc/dpkg/dpkg.cfg.d/slim"
  rm -rf "$root"/usr/share/{doc,man,info,locale}/* "$root"/var/cache/apt/*.bin "$root"/var/cache/apt/archives/*.deb \
    "$root"/var/lib/apt/lists/* "$root"/var/log/*.log
  container=$(storage from scratch)
  storage add -q "$container" "$root" /
  storage config --label "recipe=$(recipe)" --cmd bash --env PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin "$container"
  storage commit -q "$container" "$base"
  storage rm "$container"
  rm -rf "$root"
}

# chroot and the host's network: RUN steps then work without privileges over namespaces and reach what this machine reaches.
build_layers() { # IMAGE CONTEXT DOCKERFILE ID-FILE ARGUMENT...
  local arguments=() argument
  for argument in "${@:5}"; do arguments+=(--build-arg "$argument"); done
  storage build --layers --isolation chroot --network host --iidfile "$4" --build-arg "BASE=$base" "${arguments[@]}" \
    -t "$1" -f "$3" "$2"
}

save_archive() { storage push -q "$1" "docker-archive:$2:$1"; } # IMAGE ARCHIVE

# Layers that no named image has are the cache of the next build's first stages, until they are too many.
forget_old_layers() {
  (($(du -sm "$cache/buildah" | cut -f1) < 8192)) || storage rmi --prune > /dev/null
}

containers() { ctr -a "$run/containerd.sock" -n k8s.io "$@"; }
import_archive() { containers images import "$1"; }
has_image() { [[ -n $(containers images ls -q "name==$1") ]]; }
