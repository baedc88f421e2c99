# shellcheck shell=bash
# Names, folders and messages that every part shares. Messages go to stderr: stdout is for answers.

name=${DATAGUARDIAN_CLUSTER:-dataguardian}
[[ $name =~ ^[a-z0-9][a-z0-9-]{0,30}$ ]] || { echo "DATAGUARDIAN_CLUSTER: '$name' is not a short DNS label" >&2; exit 2; }
hack=$(cd "$here/.." && pwd)
cache=${DATAGUARDIAN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/dataguardian}
[[ $cache == /* ]] || { echo "DATAGUARDIAN_CACHE: '$cache' is not an absolute path" >&2; exit 2; }
state=$cache/clusters/$name
kubeconfig=$state/admin.conf

say() { echo "$*" >&2; }
die() { say "cluster: $*"; exit 1; }

# tick BEGUN: a line after 5 s and then every 15 s, until it is killed or the script that started it is gone.
tick() {
  local next=5
  while kill -0 $$ 2>/dev/null; do
    sleep 1 > /dev/null 2>&1
    if ((SECONDS - $1 >= next)); then
      say "  ... $((SECONDS - $1)) s"
      next=$((next + 15))
    fi
  done
}

# step LOG WHAT COMMAND...: one line when it begins, progress while it lasts, the log's end when it fails.
step() {
  local log=$1 what=$2 ticker status
  shift 2
  say "$what"
  mkdir -p "$(dirname "$log")"
  tick $SECONDS 9>&- &
  ticker=$!
  set +e
  (set -e; "$@") > "$log" 2>&1
  status=$?
  set -e
  kill "$ticker" 2>/dev/null || true
  wait "$ticker" 2>/dev/null || true
  ((status == 0)) && return
  tail -n 30 "$log" >&2
  die "failed: $what (all of it in $log)"
}

# until_ok SECONDS COMMAND...: repeats COMMAND until it succeeds.
until_ok() {
  local deadline=$((SECONDS + $1))
  shift
  until "$@"; do
    ((SECONDS < deadline)) || return 1
    sleep 0.2
  done
}

# locked WHAT COMMAND...: one at a time on this machine. The lock is descriptor 9; whatever is left running in
# the background closes it.
locked() {
  mkdir -p "$cache/locks"
  (exec 9> "$cache/locks/$1"; flock 9; shift; "$@")
}

# hash_of FILE...: one hash of names, modes and contents.
hash_of() { { sha256sum -- "$@"; stat -c '%a %n' -- "$@"; } | sha256sum | cut -c1-16; }

# no_mounts_below FOLDER...: unmounts what is mounted there, deepest first, and tells whether nothing is.
no_mounts_below() {
  local folder left=0
  for folder in "$@"; do
    awk -v folder="$folder/" 'index($2, folder) == 1 {print $2}' /proc/mounts | sort -r | xargs -r -n1 umount -l || true
    ! grep -qF " $folder/" /proc/mounts || left=1
  done
  return "$left"
}
