# shellcheck shell=bash
# Apache Kafka, one node that is broker and controller (KRaft).

declare -r KAFKA_VERSION=4.1.0
declare -r KAFKA_USER=tidings KAFKA_PASSWORD=tidings-secret
# shellcheck disable=SC2034 # read by name in native.sh
declare -ra KAFKA_LISTENERS=(kafka kafka_sasl kafka_controller)

kafka_fetch() {
    require_java
    fetch_once "kafka-$KAFKA_VERSION" kafka_download
}

kafka_download() {
    local directory=$1
    mkdir "$directory/libs"
    cat >"$directory/pom.xml" <<POM
<project>
  <modelVersion>4.0.0</modelVersion>
  <groupId>tidings</groupId><artifactId>kafka-server</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>$KAFKA_VERSION</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
POM
    maven -f "$directory/pom.xml" "$MAVEN_DEPENDENCY_PLUGIN:copy-dependencies" \
        -DincludeScope=runtime -DoutputDirectory="$directory/libs" || return 1
    compgen -G "$directory/libs/kafka_2.13-*.jar" >/dev/null
}

kafka_java() {
    local log_level=$1
    shift
    java "-Dorg.slf4j.simpleLogger.defaultLogLevel=$log_level" -cp "$CACHE/kafka-$KAFKA_VERSION/libs/*" "$@"
}

kafka_configure() {
    local directory="$STATE_DIRECTORY/kafka" broker sasl controller id
    broker=$(port_of kafka) sasl=$(port_of kafka_sasl) controller=$(port_of kafka_controller)
    # Short timeouts and small internal topics: tests wait for rebalances, not for a data centre.
    # A broker that was killed is let in again once its old session has run out.
    cat >"$directory/server.properties" <<PROPERTIES
node.id=1
process.roles=broker,controller
controller.quorum.voters=1@127.0.0.1:$controller
controller.listener.names=CONTROLLER
listeners=PLAINTEXT://127.0.0.1:$broker,SASL://127.0.0.1:$sasl,CONTROLLER://127.0.0.1:$controller
advertised.listeners=PLAINTEXT://127.0.0.1:$broker,SASL://127.0.0.1:$sasl
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,SASL:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
listener.name.sasl.sasl.enabled.mechanisms=PLAIN
listener.name.sasl.plain.sasl.jaas.config=org.apache.kafka.common.security.plain.PlainLoginModule required user_$KAFKA_USER="$KAFKA_PASSWORD";
log.dirs=$directory/data
auto.create.topics.enable=false
num.partitions=1
default.replication.factor=1
# Tests write events of long ago; by their times the broker would delete them while they are read.
log.retention.ms=-1
offsets.topic.replication.factor=1
offsets.topic.num.partitions=8
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
transaction.state.log.num.partitions=8
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1
broker.session.timeout.ms=3000
broker.heartbeat.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
group.consumer.min.session.timeout.ms=1000
group.consumer.session.timeout.ms=10000
group.consumer.min.heartbeat.interval.ms=100
group.consumer.heartbeat.interval.ms=1000
PROPERTIES
    # The format is stamped last, so an interrupted one is made again.
    if [[ ! -f $directory/data/meta.properties ]]; then
        id=$(head -c 16 /dev/urandom | base64 | tr '+/' 'ab')
        kafka_java warn kafka.tools.StorageTool format --cluster-id "${id%==}" --config "$directory/server.properties" \
            --ignore-formatted </dev/null >>"$directory/log" 2>&1 || fail "kafka could not format its data: see scripts/servers logs kafka"
    fi
}

kafka_start() {
    start_process kafka java -Xms256m -Xmx1g -Dorg.slf4j.simpleLogger.showDateTime=true \
        "-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS" \
        -cp "$CACHE/kafka-$KAFKA_VERSION/libs/*" kafka.Kafka "$STATE_DIRECTORY/kafka/server.properties"
}

# Asks for the cluster's metadata (API 3, version 4, no topics) and wants one broker in the answer:
# a node that accepts connections but has not registered yet lists none.
kafka_answers() {
    local connection answer
    { exec {connection}<>"/dev/tcp/127.0.0.1/$(port_of kafka)"; } 2>/dev/null || return 1
    printf '\0\0\0\x0f\0\x03\0\x04\0\0\0\x01\xff\xff\0\0\0\0\0' >&"$connection"
    # length, correlation id, throttle time, number of brokers: four bytes each.
    answer=$(timeout 2 head -c 16 <&"$connection" 2>/dev/null | od -An -tx1 -v | tr -d ' \n')
    exec {connection}>&-
    [[ ${answer:24:8} == 00000001 ]] && listens "$(port_of kafka_sasl)"
}

kafka_env() {
    echo "export TIDINGS_TEST_BROKERS=127.0.0.1:$(port_of kafka)"
    echo "export TIDINGS_TEST_SASL_BROKERS=127.0.0.1:$(port_of kafka_sasl)"
    echo "export TIDINGS_TEST_SASL_USER=$KAFKA_USER"
    echo "export TIDINGS_TEST_SASL_PASSWORD=$KAFKA_PASSWORD"
}
