#!/usr/bin/env bash
# Collect what a machine without a network needs to run Sprat, into a folder with the hash of every file.
#
#   compose/bundle.sh FOLDER python          # wheels of Sprat and of all it needs, weights included, and Apache Kafka
#   compose/bundle.sh FOLDER images          # the container images that compose.yaml names
#   compose/bundle.sh FOLDER images telemetry  # and those of compose.observability.yaml
#   compose/bundle.sh FOLDER python images   # several parts, in any order
#
# `python` needs make setup and PYTHON, the Python of the other machine (default: the one of .venv; same system and
# processor). `images` needs make images, DOCKER, and the images of others under the names in compose/.env (or their
# defaults); so does `telemetry`: docker pull them first.
# docs/deploy/air-gapped.md says what to do with the folder.
set -euo pipefail
root=$(cd "$(dirname "$0")/.." && pwd)
[ $# -ge 2 ] || { sed -n '2,13s/^# \{0,1\}//p' "$0" >&2; exit 2; }
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
[ -z "$(ls -A "$folder")" ] || { echo "$folder is not empty: name a new folder" >&2; exit 2; }
cd "$root"
docker=${DOCKER:-docker}

collect_python() {
    # `make setup` was done: the environment stays as it is.
    make --silent --old-file .venv/.installed wheels DIST="$folder/own"
    "${PYTHON:-.venv/bin/python}" -m pip download --quiet --disable-pip-version-check --only-binary :all: \
        --constraint constraints.txt --find-links "$folder/own" --dest "$folder/wheels" 'sprat[all]'
    rm -r "$folder/own"
    cp constraints.txt "$folder/"
    .venv/bin/python - "$folder/cache/sprat" <<'PYTHON'
import shutil
import sys
from pathlib import Path

from sprat_local.kafka import jars

jars.class_path()
target = Path(sys.argv[1]) / jars.kafka_dir().name
target.mkdir(parents=True)
for name in (*(jar.file_name for jar in jars.pinned()), "complete"):
    shutil.copyfile(jars.kafka_dir() / name, target / name)
PYTHON
}

# Print the names of the images that Compose files name: without arguments those of compose.yaml and of your
# compose.override.yaml. They depend on no secret.
names() {
    SPRAT_SECRET=${SPRAT_SECRET:-unused} SPRAT_AUDIT__KEY=${SPRAT_AUDIT__KEY:-unused} GRAFANA_PASSWORD=${GRAFANA_PASSWORD:-unused} "$docker" compose \
        --project-directory compose "$@" --profile simulator --profile gateway --profile tools config --images | sort --unique
}

collect_images() {
    names >"$folder/images.txt"
    xargs "$docker" save --output "$folder/images.tar" <"$folder/images.txt"
}

collect_telemetry() {
    names --file compose/compose.yaml --file compose/compose.observability.yaml |
        comm -23 - <(names --file compose/compose.yaml) >"$folder/telemetry.txt"
    xargs "$docker" save --output "$folder/telemetry.tar" <"$folder/telemetry.txt"
}

for part in "$@"; do
    case $part in
        python) collect_python ;;
        images) collect_images ;;
        telemetry) collect_telemetry ;;
        *) echo "there is no part $part: python, images, telemetry" >&2; exit 2 ;;
    esac
done
# What Compose and Kubernetes start from, and these pages. The chart holds files of others by links; not every medium keeps
# links, and a hash is that of a file.
git archive HEAD LICENSE NOTICE README.md compose docs observability | tar -x -C "$folder" --one-top-level=linked
cp -rL "$folder/linked" "$folder/sprat"
rm -r "$folder/linked"
cd "$folder"
find . -type f ! -name SHA256SUMS -print0 | sort --zero-terminated | xargs --null sha256sum >SHA256SUMS
du -sh . | cut -f1
echo "sha256 of SHA256SUMS, to be carried by another way: $(sha256sum <SHA256SUMS | cut -d' ' -f1)"
