# shellcheck shell=bash
# Native servers as processes: start detached, signal, tell whether they live.

# Seconds a server gets to answer after its start, and to end after SIGTERM.
declare -r START_SECONDS=${TIDINGS_SERVERS_START_SECONDS:-120} STOP_SECONDS=30

# Prints "state start-time" of a process: fields 3 and 22 of its stat file, counted behind the
# name, which may itself hold blanks and brackets.
process_stat() {
    local line
    line=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    read -ra line <<<"${line##*) }"
    echo "${line[0]} ${line[19]}"
}

# Prints the process id of a server that lives. The start time tells a recycled id from ours. A
# zombie counts as dead, for nobody may be there to reap it, but only once its last thread is gone:
# until then its files are locked and its ports taken.
pid_of() {
    local pid started state now threads
    read -r pid started 2>/dev/null <"$STATE_DIRECTORY/$1/pid" || return 1
    read -r state now < <(process_stat "$pid") || return 1
    [[ $now == "$started" ]] || return 1
    if [[ $state == [ZX] ]]; then
        threads=("/proc/$pid/task"/*)
        ((${#threads[@]} > 1)) || return 1
    fi
    echo "$pid"
}

frozen() {
    local pid state
    pid=$(pid_of "$1") || return 1
    read -r state _ < <(process_stat "$pid") && [[ $state == T ]]
}

# Starts a server in a session of its own, without a descriptor of ours: it outlives the script
# and keeps neither a lock nor a reader's pipe open.
start_process() {
    local name=$1 directory="$STATE_DIRECTORY/$1" pid started descriptor
    shift
    if [[ -f $directory/log && $(stat -c %s "$directory/log") -gt 20000000 ]]; then
        mv "$directory/log" "$directory/log.old"
    fi
    (
        for descriptor in /proc/self/fd/*; do
            descriptor=${descriptor##*/}
            ((descriptor <= 2)) || eval "exec $descriptor>&-"
        done
        exec setsid "$@"
    ) </dev/null >>"$directory/log" 2>&1 &
    pid=$!
    read -r _ started < <(process_stat "$pid") || fail "$name ended at once: see scripts/servers logs $name"
    echo "$pid $started" >"$directory/pid"
}

signal_process() {
    local name=$1 signal=$2 pid
    pid=$(pid_of "$name") || fail "$name is not running"
    kill "-$signal" "$pid"
}

freeze_process() {
    signal_process "$1" STOP
    # Every thread has to stop before the process counts as stopped.
    until frozen "$1"; do
        sleep 0.01
    done
}

# Waits until a server's process is gone; false when it outlives the seconds given.
await_end() {
    local name=$1 tenths=$(($2 * 10))
    while pid_of "$name" >/dev/null; do
        ((tenths-- > 0)) || return 1
        sleep 0.1
    done
    rm -f "$STATE_DIRECTORY/$name/pid"
}

stop_process() {
    local name=$1 pid
    pid=$(pid_of "$name") || return 0
    # A frozen process takes the SIGTERM once it is thawed; one that has already ended takes neither.
    kill -TERM "$pid" 2>/dev/null || true
    kill -CONT "$pid" 2>/dev/null || true
    if ! await_end "$name" "$STOP_SECONDS"; then
        say "$name did not end within $STOP_SECONDS s of SIGTERM: killing it"
        kill_process "$name"
    fi
}

kill_process() {
    signal_process "$1" KILL
    await_end "$1" "$STOP_SECONDS" || fail "$1 survived SIGKILL for $STOP_SECONDS s"
}

# Waits until a started server answers what it is for.
await_answer() {
    local name=$1 deadline=$((SECONDS + START_SECONDS))
    until "${name}_answers"; do
        if ! pid_of "$name" >/dev/null; then
            tail -n 20 "$STATE_DIRECTORY/$name/log" >&2
            fail "$name ended while starting: its last words are above, all of them in scripts/servers logs $name"
        fi
        if ((SECONDS >= deadline)); then
            tail -n 20 "$STATE_DIRECTORY/$name/log" >&2
            fail "$name does not answer $START_SECONDS s after its start: see scripts/servers logs $name"
        fi
        sleep 0.1
    done
}
