#!/usr/bin/env bash
# Start the broker of the image that local-base.sh makes. It takes the variables of the image apache/kafka that
# compose.yaml sets: KAFKA_NODE_ID is `node.id`; CLUSTER_ID formats a new storage.
set -euf
properties=/tmp/server.properties
env | grep '^KAFKA_' | grep -v '^KAFKA_\(HEAP_\|JVM_PERFORMANCE_\)\?OPTS=' | while IFS='=' read -r name value; do
    printf '%s=%s\n' "$(tr 'A-Z_' 'a-z.' <<<"${name#KAFKA_}")" "$value"
done >"$properties"
log_dirs=$(sed -n 's/^log\.dirs=//p' "$properties")
java=(/opt/java/bin/java ${KAFKA_HEAP_OPTS--Xmx256m} ${KAFKA_OPTS-} -XX:+UseSerialGC -XX:+ExitOnOutOfMemoryError
    -Dorg.slf4j.simpleLogger.defaultLogLevel=warn -cp '/opt/jars/*')
if [ ! -e "$log_dirs/meta.properties" ]; then
    "${java[@]}" kafka.tools.StorageTool format --cluster-id "$CLUSTER_ID" --config "$properties"
fi
exec "${java[@]}" kafka.Kafka "$properties"
