# shellcheck shell=bash
# Images: made from a Dockerfile with no registry at hand, kept as archives by content, loaded into the cluster.
# What differs between the variants (base_image, base_id, build_layers, save_archive,
# forget_old_layers, import_archive, has_image) is in
# builder.sh and kind.sh.

service_image_names=(localhost/dataguardian-postgres:17 localhost/dataguardian-redis:8 localhost/dataguardian-s3:1)

archives_of() { echo "$cache/images/${1//[^a-zA-Z0-9.-]/_}"; }

# Everything that decides what an image is: its Dockerfile, its context, its arguments, its base and how it is built.
image_key() { # CONTEXT DOCKERFILE ARGUMENT...
  local context=$1 dockerfile=$2 files
  shift 2
  cd "$context" || return
  if git rev-parse --is-inside-work-tree > /dev/null 2>&1; then
    files=(git ls-files -z --cached --others --exclude-standard --deduplicate)
  else
    files=(find . -type f -print0)
  fi
  {
    "${files[@]}" | while IFS= read -rd '' file; do [[ ! -f $file ]] || printf '%s\0' "$file"; done |
      sort -z | xargs -0r sh -c 'sha256sum -- "$@"; stat -c "%a %n" -- "$@"' -
    sha256sum < "$dockerfile"
    printf '%s\n' "$@" "$(base_id)"
    cat "$here/lib/images.sh" "$here/lib/builder.sh"
  } | sha256sum | cut -c1-16
}

# build_image NAME CONTEXT [-f FILE] [--build-arg K=V]...
build_image() {
  local image=${1:?the name of an image} context dockerfile arguments=() key
  context=$(cd "${2:?the folder of its context}" && pwd)
  dockerfile=$context/Dockerfile
  shift 2
  while (($#)); do
    case $1 in
      -f) dockerfile=$(realpath "$2") ;;
      --build-arg) arguments+=("$2") ;;
      *) die "build-image: what is $1?" ;;
    esac
    shift 2
  done
  [[ -f $dockerfile ]] || die "there is no $dockerfile"
  base_image
  key=$(archives_of "$image")/key-$(image_key "$context" "$dockerfile" "${arguments[@]}")
  [[ -e $key ]] || locked images make_image "$image" "$context" "$dockerfile" "$key" "${arguments[@]}"
  ln -sfn "$(readlink "$key")" "$(archives_of "$image")/current"
  load_image "$image"
}

# A key is a link to the archive, and an archive is named by the image's id: a change of the context that the
# Dockerfile does not copy costs a cached build, and no new archive.
make_image() { # IMAGE CONTEXT DOCKERFILE KEY ARGUMENT...
  local folder id log
  folder=$(dirname "$4") log=$cache/log/$(basename "$(dirname "$4")").log
  [[ -e $4 ]] && return # another one built it while this one waited for the lock
  mkdir -p "$folder"
  rm -f "$folder"/*.new
  step "$log" "building $1" build_layers "$1" "$2" "$3" "$folder/id" "${@:5}"
  id=$(sed 's/^sha256://' "$folder/id")
  if [[ -f $folder/$id.tar ]]; then
    touch "$folder/$id.tar"
  else
    step "$log" "packing $1" save_archive "$1" "$folder/$id.tar.new"
    mv "$folder/$id.tar.new" "$folder/$id.tar"
  fi
  ln -sfn "$id.tar" "$4"
  # The three newest are kept: going back and forth between two versions costs no build.
  find "$folder" -name '*.tar' -type f -printf '%T@ %p\n' | sort -rn | tail -n +4 | cut -d' ' -f2- | xargs -r rm -f
  find "$folder" -xtype l -delete
  forget_old_layers
}

# load_image NAME: into the running cluster; nothing to do when that content is there under that name.
load_image() {
  local image=${1:?the name of an image} archive mark
  is_up || { say "the cluster is down: $image waits in the cache"; return 0; }
  archive=$(realpath -e "$(archives_of "$image")/current" 2>/dev/null) || die "$image was never built"
  mark=$state/loaded/${image//\//_}
  [[ -f $mark && $(< "$mark") == "$archive" ]] && has_image "$image" && return 0
  mkdir -p "$state/loaded"
  step "$state/log/load-image.log" "loading $image" import_archive "$archive" "$image"
  echo "$archive" > "$mark"
}

# packaged_image NAME FOLDER [PROGRAM]: an image of hack/images, with a program of ours in its context.
packaged_image() {
  local context=$hack/images/$2 staged
  if [[ -n ${3:-} ]]; then
    staged=$cache/staged/$2.$BASHPID
    mkdir -p "$staged"
    cp "$context"/* "$(program "$3")/$3" "$staged"
    context=$staged
  fi
  build_image "$1" "$context"
  rm -rf "$cache/staged/$2.$BASHPID"
}

service_images() {
  packaged_image "${service_image_names[0]}" postgres
  packaged_image "${service_image_names[1]}" redis
  packaged_image "${service_image_names[2]}" s3 versitygw
}
