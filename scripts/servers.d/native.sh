# shellcheck shell=bash
# The engine that starts the servers as processes of this machine.

native_listeners() {
    local -n listeners="${1^^}_LISTENERS"
    printf '%s\n' "${listeners[@]}"
}

native_up() {
    local name job listeners
    local -a missing=() jobs=() names=("$@")
    for name in "${names[@]}"; do
        if frozen "$name"; then
            signal_process "$name" CONT
        fi
        pid_of "$name" >/dev/null || missing+=("$name")
    done
    # Downloads go side by side, and so do the starts.
    for name in "${missing[@]}"; do
        "${name}_fetch" &
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do
        wait "$job" || exit $?
    done
    jobs=()
    for name in "${missing[@]}"; do
        mkdir -p "$STATE_DIRECTORY/$name"
        mapfile -t listeners < <(native_listeners "$name")
        with_lock "$CACHE/ports.lock" choose_ports "${listeners[@]}"
    done
    for name in "${missing[@]}"; do
        native_start "$name" &
        jobs+=($!)
    done
    for job in "${jobs[@]}"; do
        wait "$job" || exit $?
    done
    for name in "${names[@]}"; do
        await_answer "$name"
        : >"$STATE_DIRECTORY/$name/wanted"
    done
}

native_start() {
    "${1}_configure"
    "${1}_start"
}

native_down() {
    local name
    for name in "$@"; do
        stop_process "$name"
        rm -f "$STATE_DIRECTORY/$name/wanted"
    done
}

native_stop() { stop_process "$1"; }
native_kill() { kill_process "$1"; }
native_freeze() { freeze_process "$1"; }
native_thaw() { signal_process "$1" CONT; }
native_logs() { cat "$STATE_DIRECTORY/$1/log"; }
native_clean() { native_down "${SERVERS[@]}"; }

# Prints the state of one server.
native_state() {
    if ! pid_of "$1" >/dev/null; then
        echo stopped
    elif frozen "$1"; then
        echo frozen
    elif "${1}_answers"; then
        echo up
    else
        echo "not answering"
    fi
}

native_status() {
    local name state status=0
    for name in "${SERVERS[@]}"; do
        state=$(native_state "$name")
        [[ $state == up || ! -e $STATE_DIRECTORY/$name/wanted ]] || status=1
        printf '%-9s %-14s %-8s %s\n' "$name" "$state" "$(pid_of "$name" || echo -)" "127.0.0.1:$(port_of "$name")"
    done
    return "$status"
}

native_wanted() { [[ -e $STATE_DIRECTORY/$1/wanted ]]; }
