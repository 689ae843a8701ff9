# shellcheck shell=bash
# MariaDB as the machine's distribution has it; the second database, started only when asked for.

# shellcheck disable=SC2034 # read by name in native.sh
declare -ra MARIADB_LISTENERS=(mariadb)

mariadb_fetch() { "$CHECKOUT/scripts/tools" mariadbd mariadb || exit $?; }

mariadb_configure() {
    local directory="$STATE_DIRECTORY/mariadb"
    {
        echo "[mariadbd]"
        [[ $(id -u) -ne 0 ]] || echo "user=root"
        cat <<CONFIGURATION
datadir=$directory/data
port=$(port_of mariadb)
bind-address=127.0.0.1
socket=mariadb.sock
pid-file=mariadb.pid
skip-name-resolve=ON
init-file=$CHECKOUT/scripts/servers.d/accounts.sql
character-set-server=utf8mb4
sync-binlog=1
innodb-flush-log-at-trx-commit=1
log-bin=binlog
log-bin-trust-function-creators=ON
binlog-format=ROW
server-id=1
expire-logs-days=1
max-connections=500
innodb-buffer-pool-size=256M

[client]
host=127.0.0.1
protocol=tcp
port=$(port_of mariadb)
user=tidings
password=tidings
connect-timeout=2
CONFIGURATION
    } >"$directory/my.cnf"
    if [[ ! -d $directory/data ]]; then
        rm -rf "$directory/data.new"
        mariadb-install-db --no-defaults --user="$(id -un)" --datadir="$directory/data.new" --skip-test-db \
            --auth-root-authentication-method=normal </dev/null >>"$directory/log" 2>&1 ||
            fail "mariadb could not create its data: see scripts/servers logs mariadb"
        mv -T "$directory/data.new" "$directory/data"
    fi
}

mariadb_start() {
    start_process mariadb "$(PATH=$PATH:/usr/sbin command -v mariadbd)" --defaults-file="$STATE_DIRECTORY/mariadb/my.cnf"
}

mariadb_answers() {
    listens "$(port_of mariadb)" || return 1
    [[ $(timeout 5 mariadb --defaults-file="$STATE_DIRECTORY/mariadb/my.cnf" -N -e 'SELECT 1' tidings 2>/dev/null </dev/null) == 1 ]]
}

mariadb_env() { echo "export TIDINGS_TEST_MARIADB=mysql://tidings:tidings@127.0.0.1:$(port_of mariadb)/tidings"; }
