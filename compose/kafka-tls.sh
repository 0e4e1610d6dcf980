#!/usr/bin/env bash
# Make what compose.kafka-tls.yaml needs: a certificate authority and the broker's certificate in compose/kafka-tls, and
# a password for each user of Kafka in compose/.env.
#
#   compose/kafka-tls.sh [NAME ...]   # more names or addresses by which clients reach this broker
#
# Run it again for a new certificate of the same authority: once a year, before the old one expires. Passwords that are
# set stay. Needs openssl.
set -euo pipefail
umask 077
cd "$(dirname "$0")"
[ -e .env ] || { echo "first: install -m 600 compose/.env.example compose/.env" >&2; exit 1; }

names=DNS:kafka,DNS:localhost,IP:127.0.0.1
for name in "$@"; do
    case $name in
        *[!0-9.]*) names+=,DNS:$name ;;
        *) names+=,IP:$name ;;
    esac
done

mkdir -p kafka-tls
ec=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
if [ ! -e kafka-tls/ca.key ]; then
    openssl req -x509 "${ec[@]}" -days 3650 -subj "/CN=Kafka of Sprat" \
        -addext keyUsage=critical,keyCertSign,cRLSign -keyout kafka-tls/ca.key -out kafka-tls/ca.crt 2>/dev/null
fi
openssl req "${ec[@]}" -subj /CN=kafka -keyout kafka-tls/broker.key -out kafka-tls/broker.csr 2>/dev/null
openssl x509 -req -in kafka-tls/broker.csr -CA kafka-tls/ca.crt -CAkey kafka-tls/ca.key -CAcreateserial -days 397 \
    -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=serverAuth\n' "$names") -out kafka-tls/broker.crt 2>/dev/null
cat kafka-tls/broker.key kafka-tls/broker.crt >kafka-tls/broker.pem
# The container's user reads these two; the folder keeps everybody else of this machine out.
chmod 644 kafka-tls/broker.pem kafka-tls/ca.crt
rm kafka-tls/broker.key kafka-tls/broker.csr kafka-tls/broker.crt

for variable in $(grep --only-matching 'KAFKA_[A-Z_]*_PASSWORD' .env.example); do
    grep -q "^$variable=." .env && continue
    sed -i "/^#\{0,1\}$variable=/d" .env
    echo "$variable=$(openssl rand -hex 24)" >>.env
done
echo "compose/kafka-tls/ca.crt is what clients trust; the passwords are in compose/.env" >&2
