# shellcheck shell=bash
# Apicurio Registry, which speaks the API of Confluent's schema registry.

declare -r REGISTRY_VERSION=3.0.9
# shellcheck disable=SC2034 # read by name in native.sh
declare -ra REGISTRY_LISTENERS=(registry registry_management)

registry_fetch() {
    require_java
    fetch_once "registry-$REGISTRY_VERSION" registry_download
}

registry_download() {
    local directory=$1
    maven "$MAVEN_DEPENDENCY_PLUGIN:copy" -DoutputDirectory="$directory" \
        -Dartifact="io.apicurio:apicurio-registry-app:$REGISTRY_VERSION:tar.gz:all" || return 1
    tar -xzf "$directory"/apicurio-registry-app-*.tar.gz -C "$directory" || return 1
    rm "$directory"/apicurio-registry-app-*.tar.gz
    compgen -G "$directory/apicurio-registry-app-*-runner.jar" >/dev/null
}

registry_configure() { :; }

# The schemas are kept in a file: a registry that was killed and started again still knows the ids
# that records on the topics refer to.
registry_start() {
    local jar
    jar=$(compgen -G "$CACHE/registry-$REGISTRY_VERSION/apicurio-registry-app-*-runner.jar")
    start_process registry java -Xmx384m -XX:+UseSerialGC -XX:TieredStopAtLevel=1 \
        -Dquarkus.http.host=127.0.0.1 "-Dquarkus.http.port=$(port_of registry)" \
        -Dquarkus.management.host=127.0.0.1 "-Dquarkus.management.port=$(port_of registry_management)" \
        -Dapicurio.storage.kind=sql -Dapicurio.storage.sql.kind=h2 \
        "-Dapicurio.datasource.url=jdbc:h2:file:$STATE_DIRECTORY/registry/data" -jar "$jar"
}

registry_answers() {
    local connection status
    { exec {connection}<>"/dev/tcp/127.0.0.1/$(port_of registry)"; } 2>/dev/null || return 1
    printf 'GET /apis/ccompat/v7/subjects HTTP/1.0\r\nHost: 127.0.0.1\r\n\r\n' >&"$connection"
    status=$(timeout 5 head -n 1 <&"$connection" 2>/dev/null)
    exec {connection}>&-
    [[ $status == *" 200 "* ]]
}

registry_env() { echo "export TIDINGS_TEST_REGISTRY=http://127.0.0.1:$(port_of registry)/apis/ccompat/v7"; }
