# shellcheck shell=bash
# The node's processes. Each has a file NAME.process: "pid start-time fingerprint". A pid whose start time differs
# is somebody else's: the machine was restarted, or the number was used again.

start_time() { # PID: its start time in this boot of the machine; fails when it has ended
  local stat
  { stat=$(< "/proc/$1/stat"); } 2> /dev/null || return 1
  read -ra stat <<< "${stat##*) }" # after the command's name: the state is the 3rd field, the start time the 22nd
  [[ ${stat[0]} != Z ]] && echo "${stat[19]}"
}

boot() { cat /proc/sys/kernel/random/boot_id; }

pid_of() { # NAME: the pid, when it is alive and ours
  local pid started
  [[ -f $state/$1.process ]] && read -r pid started _ < "$state/$1.process" || return 1
  [[ -n $pid && $(start_time "$pid")@$(boot) == "$started" ]] && echo "$pid"
}

# ensure NAME COMMAND...: runs it in the cluster's network, if it does not already run exactly so and with the same
# configuration.
ensure() {
  local part=$1 pid recorded='' fingerprint
  shift
  fingerprint=$( (printf '%s\n' "$@"; cat "$here/lib/node-files.sh") | sha256sum | cut -c1-16)
  [[ ! -f $state/$part.process ]] || read -r _ _ recorded < "$state/$part.process" || true
  if pid_of "$part" > /dev/null; then
    [[ $recorded == "$fingerprint" ]] && return
    stop "$part"
  fi
  say "starting $part"
  # It records itself before it becomes the part: an `up` that is killed here leaves no process unknown.
  (
    pid=$BASHPID
    echo "$pid $(start_time "$pid")@$(boot) $fingerprint" > "$state/$part.process"
    exec setsid "${inside[@]}" "$@" >> "$state/log/$part.log" 2>&1 < /dev/null 9>&-
  ) &
}

# stop NAME: SIGTERM, and SIGKILL after two seconds: the API server and etcd linger on open streams.
stop() {
  local pid
  if pid=$(pid_of "$1"); then
    kill "$pid" 2>/dev/null || true
    until_ok 2 gone "$1" || kill -9 "$pid" 2>/dev/null || true
    until_ok 5 gone "$1" || die "$1 (pid $pid) does not end"
  fi
  rm -f "$state/$1.process"
}

gone() { ! pid_of "$1" > /dev/null; }
