# shellcheck shell=bash
# The engine that starts the servers in containers, from docker-compose.yml.

compose() {
    local project
    # Two checkouts are two projects.
    project=tidings-$(cksum <<<"$STATE_DIRECTORY" | cut -d ' ' -f 1)
    TIDINGS_KAFKA_PORT=$(port_of kafka) TIDINGS_KAFKA_SASL_PORT=$(port_of kafka_sasl) \
        TIDINGS_REGISTRY_PORT=$(port_of registry) TIDINGS_MYSQL_PORT=$(port_of mysql) \
        TIDINGS_MARIADB_PORT=$(port_of mariadb) \
        docker compose --project-directory "$CHECKOUT" --file "$CHECKOUT/docker-compose.yml" \
        --project-name "$project" --profile mariadb "$@" </dev/null
}

# Prints the container's state: running, paused, exited, nothing when there is none.
compose_container_state() { compose ps --all --format '{{.State}}' "$1" 2>/dev/null; }

compose_up() {
    local name state
    if ! docker info >/dev/null 2>&1 || ! docker compose version >/dev/null 2>&1; then
        fail "no Docker engine with its compose plugin answers: start it, or let TIDINGS_SERVERS_ENGINE be native"
    fi
    for name in "$@"; do
        state=$(compose_container_state "$name")
        case $state in
            running) ;;
            paused) compose unpause "$name" >&2 ;;
            *)
                case $name in
                    kafka) with_lock "$CACHE/ports.lock" choose_ports kafka kafka_sasl ;;
                    *) with_lock "$CACHE/ports.lock" choose_ports "$name" ;;
                esac
                ;;
        esac
    done
    compose up --detach --wait --wait-timeout 300 "$@" >&2 || fail "docker compose up failed: see scripts/servers logs NAME"
    for name in "$@"; do
        mkdir -p "$STATE_DIRECTORY/$name"
        : >"$STATE_DIRECTORY/$name/wanted"
    done
}

# The containers stay, stopped: the registry keeps its schemas in its own.
compose_down() {
    local name
    compose stop "$@" >&2
    for name in "$@"; do
        rm -f "$STATE_DIRECTORY/$name/wanted"
    done
}

compose_stop() { compose stop "$1" >&2; }
compose_kill() { compose kill --signal SIGKILL "$1" >&2; }
compose_freeze() { compose pause "$1" >&2; }
compose_thaw() { compose unpause "$1" >&2; }
compose_logs() { compose logs --no-color --no-log-prefix "$1"; }
compose_clean() { compose down --volumes >&2; }
compose_status() { compose ps --all; }
compose_wanted() { [[ -e $STATE_DIRECTORY/$1/wanted ]]; }
