# shellcheck shell=bash
# MySQL 9 from Debian's unstable suite, unpacked into a folder of its own with the libraries it
# wants; on a machine that has no Debian mirror, the mysqld that is installed there.

# shellcheck disable=SC2034 # read by name in native.sh
declare -ra MYSQL_LISTENERS=(mysql)

# The address comes from this machine's own apt configuration.
debian_mirror() {
    # shellcheck disable=SC2016 # apt fills in the fields
    apt-get indextargets --format '$(ORIGIN) $(RELEASE) $(REPO_URI)' 'Created-By: Packages' 2>/dev/null |
        sed -nE 's/^Debian [^ ]*security[^ ]* .*//;s/^Debian [^ ]+ (.+)$/\1/p;T;q'
}

mysql_fetch() {
    if [[ -d $CACHE/mysql-sid ]]; then
        return 0
    elif [[ -n $(debian_mirror) ]]; then
        "$CHECKOUT/scripts/tools" mmdebstrap || exit $?
        fetch_once mysql-sid mysql_download
    else
        "$CHECKOUT/scripts/tools" mysqld mysql || exit $?
    fi
}

# Only unpacks: nothing of the suite is installed or run as part of this system. That needs neither
# root nor namespaces, but mmdebstrap has to be told so.
mysql_download() {
    local mode=()
    [[ $(id -u) -eq 0 ]] || mode=(--mode=chrootless)
    mmdebstrap "${mode[@]}" --aptopt='Acquire::Check-Valid-Until "false"' --variant=extract \
        --include=mysql-server-core,mysql-client-core sid "$1" "$(debian_mirror)"
}

# Prints the command line, a word a line, that runs one of MySQL's programs: from the unpacked
# folder through its own loader, so that this system's libraries do not matter.
mysql_program() {
    local tree="$CACHE/mysql-sid" loader libraries
    if [[ ! -d $tree ]]; then
        PATH=$PATH:/usr/sbin command -v "${1##*/}"
        return
    fi
    loader=$(compgen -G "$tree/usr/lib/*-linux-gnu*/ld-linux*.so.*" | head -n 1)
    libraries=$(dirname "$loader"):$tree/usr/lib/mysql/private
    printf '%s\n' "$loader" --library-path "$libraries" "$tree/usr/$1"
}

mysql_configure() {
    local directory="$STATE_DIRECTORY/mysql" tree="$CACHE/mysql-sid" server
    {
        echo "[mysqld]"
        if [[ -d $tree ]]; then
            echo "basedir=$tree/usr"
            echo "lc-messages-dir=$tree/usr/share/mysql"
            echo "plugin-dir=$tree/usr/lib/mysql/plugin"
        fi
        [[ $(id -u) -ne 0 ]] || echo "user=root"
        # The socket is relative to the data folder: an absolute one may exceed the 107 bytes allowed.
        cat <<CONFIGURATION
datadir=$directory/data
port=$(port_of mysql)
bind-address=127.0.0.1
socket=mysql.sock
pid-file=mysql.pid
mysqlx=OFF
secure-file-priv=NULL
skip-name-resolve=ON
character-set-server=utf8mb4
sync-binlog=1
innodb-flush-log-at-trx-commit=1
log-bin=binlog
log-bin-trust-function-creators=ON
server-id=1
binlog-expire-logs-seconds=86400
max-connections=500
innodb-buffer-pool-size=256M

[client]
host=127.0.0.1
protocol=tcp
port=$(port_of mysql)
user=tidings
password=tidings
connect-timeout=2
CONFIGURATION
    } >"$directory/my.cnf"
    if [[ ! -d $directory/data ]]; then
        mapfile -t server < <(mysql_program sbin/mysqld)
        rm -rf "$directory/data.new"
        mkdir -p "$directory/data.new"
        "${server[@]}" --defaults-file="$directory/my.cnf" --datadir="$directory/data.new" --initialize-insecure \
            </dev/null >>"$directory/log" 2>&1 || fail "mysql could not create its data: see scripts/servers logs mysql"
        mv -T "$directory/data.new" "$directory/data"
    fi
}

mysql_start() {
    # A killed server leaves its lock, and refuses to start while its process id still exists, be it
    # as a zombie.
    rm -f "$STATE_DIRECTORY/mysql/data/mysql.sock" "$STATE_DIRECTORY/mysql/data/mysql.sock.lock"
    local server
    mapfile -t server < <(mysql_program sbin/mysqld)
    start_process mysql "${server[@]}" --defaults-file="$STATE_DIRECTORY/mysql/my.cnf" \
        --init-file="$CHECKOUT/scripts/servers.d/accounts.sql"
}

# A query as the tests' own account: "ping" is content with a refused password.
mysql_answers() {
    local client
    listens "$(port_of mysql)" || return 1
    mapfile -t client < <(mysql_program bin/mysql)
    [[ $(timeout 5 "${client[@]}" --defaults-file="$STATE_DIRECTORY/mysql/my.cnf" -N -e 'SELECT 1' tidings 2>/dev/null </dev/null) == 1 ]]
}

mysql_env() { echo "export TIDINGS_TEST_DATABASE=mysql://tidings:tidings@127.0.0.1:$(port_of mysql)/tidings"; }
