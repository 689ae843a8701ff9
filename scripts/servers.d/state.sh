# shellcheck shell=bash
# Where a checkout keeps its servers, and which ports they have.

# One folder per checkout: configuration, data, logs, process ids, ports.
STATE_DIRECTORY=${TIDINGS_SERVERS_DIR:-$CHECKOUT/.servers}
# Shared by every checkout of this user: what was downloaded, and who holds which port.
CACHE=${XDG_CACHE_HOME:-$HOME/.cache}/tidings-servers

# The preferred port of each listener. When one is taken the next candidate is PORT_STEP higher;
# the remainders modulo PORT_STEP differ, so two listeners never compete for one number.
declare -rA PREFERRED_PORT=(
    [registry]=24081 [registry_management]=24082
    [kafka]=24092 [kafka_sasl]=24093 [kafka_controller]=24094
    [mysql]=24306 [mariadb]=24307
)
declare -r PORT_STEP=20 PORT_CANDIDATES=100

say() { echo "servers: $*" >&2; }
fail() {
    say "$*"
    exit 1
}

# Runs a command while this process holds the lock file.
with_lock() {
    local file=$1 descriptor status
    shift
    exec {descriptor}>"$file"
    flock "$descriptor"
    # No "||": it would switch off "set -e" inside the command.
    "$@"
    status=$?
    exec {descriptor}>&-
    return "$status"
}

listens() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# Prints the recorded port of a listener, nothing when there is none.
port_of() {
    local file="$STATE_DIRECTORY/ports/$1"
    [[ ! -r $file ]] || cat "$file"
}

# Another checkout's port stays its own while its servers are stopped.
promised_to_another_checkout() {
    local owner listener
    [[ -r $CACHE/ports/$1 ]] || return 1
    read -r listener owner <"$CACHE/ports/$1"
    [[ $owner != "$STATE_DIRECTORY" && $(cat "$owner/ports/$listener" 2>/dev/null) == "$1" ]]
}

# Records a free port for a listener whose server is not running: the one it had where that is
# possible, for clients in the middle of a test know it by that.
choose_port() {
    local listener=$1 candidate index tries
    candidate=$(port_of "$listener")
    for ((tries = 0; tries < 30; tries++)); do
        if [[ -z $candidate ]] || ! listens "$candidate"; then
            break
        fi
        sleep 0.1
    done
    if [[ -z $candidate ]] || listens "$candidate"; then
        for ((index = 0; index < PORT_CANDIDATES; index++)); do
            candidate=$((PREFERRED_PORT[$listener] + index * PORT_STEP))
            listens "$candidate" || promised_to_another_checkout "$candidate" || break
        done
        ((index < PORT_CANDIDATES)) || fail "no free port for $listener from ${PREFERRED_PORT[$listener]} upwards"
    fi
    mkdir -p "$STATE_DIRECTORY/ports" "$CACHE/ports"
    echo "$candidate" >"$STATE_DIRECTORY/ports/$listener"
    echo "$listener $STATE_DIRECTORY" >"$CACHE/ports/$candidate"
}

choose_ports() {
    local listener
    for listener in "$@"; do
        choose_port "$listener"
    done
}
