#!/usr/bin/env bash
# Make the images that compose/ names of others on a machine that reaches Debian's packages and Python's, but no container
# registry: the base of Sprat's images, Apache Kafka and Redis. Then print the lines for compose/.env, and how the
# images of Sprat are built on this base.
#
#   make setup                  # brings Kafka's jars and a Java runtime, which the Kafka image is made of
#   sudo compose/local-base.sh
#
# DOCKER names the client, MIRROR another source of Debian's packages. Needs root, debootstrap, two minutes, and some
# 500 MB. A base that exists is not made again.
set -euo pipefail
cd "$(dirname "$0")/.."
docker=${DOCKER:-docker}
suite=trixie
base=sprat-local/debian:$suite
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if ! "$docker" image inspect "$base" >/dev/null 2>&1; then
    # The first source of this machine, in either form; one of the two files may be missing.
    uri=$(cat /etc/apt/sources.list /etc/apt/sources.list.d/debian.sources 2>/dev/null \
        | sed -n 's/^URIs: *//p; s/^deb \(\[[^]]*\] *\)\{0,1\}\([^ ]*\).*/\2/p' | head -1) || true
    debootstrap --variant=minbase --include=ca-certificates "$suite" "$work/root" "${MIRROR:-$uri}" >"$work/log" \
        || { tail -5 "$work/log"; exit 1; } >&2
    # What Debian's own slim image lacks as well.
    printf 'path-exclude /usr/share/%s/*\n' doc info locale man >"$work/root/etc/dpkg/dpkg.cfg.d/slim"
    rm -rf "$work"/root/usr/share/{doc,info,locale,man}/* "$work"/root/var/{lib/apt/lists,cache/apt}/*
    tar -C "$work/root" -c . | "$docker" import --change 'CMD ["bash"]' - "$base" >/dev/null
fi

version=$(.venv/bin/python -c 'from sprat_local.kafka.jars import KAFKA_VERSION; print(KAFKA_VERSION)')
kafka=sprat-local/kafka:$version
mkdir -p "$work/kafka/jars"
.venv/bin/python - "$work/kafka" <<'PYTHON'
import shutil, sys
from pathlib import Path
from sprat_local.kafka import jars, jvm

target = Path(sys.argv[1])
for jar in jars.class_path().split(":"):
    shutil.copy(jar, target / "jars")
shutil.copytree(jvm.java().parent.parent, target / "java", symlinks=True)
PYTHON
cp compose/local-kafka.sh "$work/kafka/"
cat >"$work/kafka/kafka-configs.sh" <<'CONFIGS'
#!/bin/sh
exec /opt/java/bin/java ${KAFKA_HEAP_OPTS--Xmx256m} -XX:-UsePerfData -cp '/opt/jars/*' kafka.admin.ConfigCommand "$@"
CONFIGS
DOCKER_BUILDKIT=1 "$docker" build --quiet --tag "$kafka" --file - "$work/kafka" <<DOCKERFILE
FROM $base
RUN useradd --uid 1000 --create-home appuser && install -d -o appuser -g appuser /var/lib/kafka/data
COPY java /opt/java
COPY jars /opt/jars
COPY --chmod=755 local-kafka.sh /opt/local-kafka.sh
COPY --chmod=755 kafka-configs.sh /opt/kafka/bin/kafka-configs.sh
USER appuser
VOLUME /var/lib/kafka/data
CMD ["/opt/local-kafka.sh"]
DOCKERFILE

redis=sprat-local/redis:$suite
DOCKER_BUILDKIT=1 "$docker" build --quiet --tag "$redis" --file - "$work/kafka/jars" <<DOCKERFILE
FROM $base
RUN groupadd --gid 1000 redis && useradd --uid 999 --gid 1000 --home-dir /data redis \
    && apt-get update && apt-get install --yes --no-install-recommends redis-server \
    && rm -rf /var/lib/apt/lists/* /var/cache/apt/* && install -d -o 999 -g 1000 /data
USER redis
WORKDIR /data
VOLUME /data
CMD ["redis-server"]
DOCKERFILE

printf 'KAFKA_IMAGE=%s\nREDIS_IMAGE=%s\n' "$kafka" "$redis"
echo "then: make images BASE_IMAGE=$base" >&2
