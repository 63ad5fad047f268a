#!/usr/bin/env bash
# Makes the images of .env that cannot be pulled here, under their own names, from Debian and PyPI; root, with
# debootstrap and a Docker engine. Not for production: the versions are Debian's.
#
#   tests/compose/stand-ins/make.sh [only what is missing]
#   CA_BUNDLE=file    certificates to trust, where a proxy opens TLS
#   PIP_CONF=file     pip's configuration
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")"
root=$(cd ../../.. && pwd)
docker=${DOCKER:-docker}
ca=${CA_BUNDLE:-/etc/ssl/certs/ca-certificates.crt}
conf=${PIP_CONF:-/dev/null}
export DOCKER_BUILDKIT=1

image() { sed -n "s/^$1=//p" "$root/.env"; }
there() { "$docker" image inspect "$1" >/dev/null 2>&1; }
build() {  # NAME DOCKERFILE CONTEXT [option...]
    local name=$1 file=$2 context=$3
    shift 3
    "$docker" build --quiet -t "$name" -f "$file" \
        --secret "id=ca_bundle,src=$ca" --secret "id=pip_conf,src=$conf" "$@" "$context"
}

base=$(image PYTHON_IMAGE)
if ! there "$base"; then
    folder=$(mktemp -d)
    trap 'rm -rf "$folder"' EXIT
    # Debian's own Python: 3.11 in bookworm.
    debootstrap --variant=minbase --include=ca-certificates,python3,python3-venv,python-is-python3 bookworm "$folder" >&2
    rm -rf "$folder"/var/cache/apt/archives/*.deb "$folder"/var/lib/apt/lists/*
    tar -C "$folder" -c . | "$docker" import - "$base"
fi
for service in POSTGRES REDIS NGINX; do
    name=$(image ${service}_IMAGE)
    file=$(echo "$service" | tr '[:upper:]' '[:lower:]').Dockerfile
    there "$name" || build "$name" "$file" . --build-arg BASE="$base"
done
name=$(image S3_IMAGE)
there "$name" || build "$name" seaweedfs.Dockerfile . --build-arg BASE="$base"
