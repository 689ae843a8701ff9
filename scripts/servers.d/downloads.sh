# shellcheck shell=bash
# What native servers are made of: fetched once, kept in the cache for every checkout.

# Fills a folder of the cache once: runs the command with a temporary folder, which takes its
# final name only when the command has succeeded.
fetch_once() {
    local name=$1
    shift
    [[ ! -d $CACHE/$name ]] || return 0
    with_lock "$CACHE/$name.lock" fetch_under_lock "$name" "$@"
}

fetch_under_lock() {
    local name=$1 temporary
    shift
    [[ ! -d $CACHE/$name ]] || return 0
    say "fetching $name (once; kept in $CACHE)"
    # What an interrupted download left behind.
    rm -rf "$CACHE/$name".??????
    temporary=$(mktemp -d "$CACHE/$name.XXXXXX")
    if ! "$@" "$temporary" >"$CACHE/$name.log" 2>&1; then
        rm -rf "$temporary"
        tail -n 15 "$CACHE/$name.log" >&2
        fail "could not fetch $name: see $CACHE/$name.log"
    fi
    chmod 755 "$temporary"
    mv -T "$temporary" "$CACHE/$name"
}

# Maven's local repository is not made for two writers at once.
maven() { with_lock "$CACHE/maven.lock" mvn -B -q -C "$@" </dev/null; }

# This version copies an artifact without reading the parent of its description, which Apicurio
# does not publish.
# shellcheck disable=SC2034 # read by the servers that come from Maven
declare -r MAVEN_DEPENDENCY_PLUGIN=org.apache.maven.plugins:maven-dependency-plugin:2.8

# The servers are tested on Java 17 and newer.
require_java() {
    local version
    "$CHECKOUT/scripts/tools" java mvn || exit $?
    version=$(java -version 2>&1 | sed -nE 's/.* version "([0-9]+).*/\1/p;T;q')
    ((${version:-0} >= 17)) || {
        say "Java 17 or newer is needed, this is ${version:-unknown}: install openjdk-17-jre-headless"
        exit 2
    }
}
