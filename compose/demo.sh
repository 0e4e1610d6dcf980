#!/usr/bin/env bash
# The demo on containers: start an installation of its own, send the samples, print the summary, remove all of it again.
# Exits as `sprat demo` does. DOCKER names the client.
set -euo pipefail
cd "$(dirname "$0")"
export COMPOSE_PROJECT_NAME=sprat-demo COMPOSE_PROFILES=simulator
export SPRAT_SECRET=${SPRAT_SECRET:-$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')}
# An Ed25519 key as PKCS #8 has it: what every such key begins with, and 32 random bytes.
key() { { printf '\x30\x2e\x02\x01\x00\x30\x05\x06\x03\x2b\x65\x70\x04\x22\x04\x20'; head -c 32 /dev/urandom; } | base64 | tr -d '\n'; }
export SPRAT_AUDIT__KEY=${SPRAT_AUDIT__KEY:-$(key)}
export SPRAT_KAFKA_PORT=$((20000 + RANDOM % 10000)) # nobody on this machine needs it; it must be free
compose() { "${DOCKER:-docker}" compose --project-directory . "$@"; }
trap 'compose down --volumes --timeout 5 >/dev/null 2>&1' EXIT
compose up --detach --wait >/dev/null 2>&1 || { compose ps --all; compose logs --tail 20; exit 2; } >&2
compose run --rm --no-TTY cli demo --running "$@"
