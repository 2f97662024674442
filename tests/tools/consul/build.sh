#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints the path of a consul binary for tests and samples: $TAGWAY_CONSUL, else `consul` on PATH,
# else one that was built here before, else built now from the module in this folder (needs Go).
set -eu
cd "$(dirname "$0")"

version=1.20.1
cached=${XDG_CACHE_HOME:-$HOME/.cache}/tagway/consul-$version

if [ -n "${TAGWAY_CONSUL:-}" ]; then
    echo "$TAGWAY_CONSUL"
elif command -v consul; then
    :
elif [ -x "$cached" ]; then
    echo "$cached"
elif ! command -v go >/dev/null; then
    echo "consul: none on PATH, and no Go (1.24 or newer) on PATH to build $version with;" \
        "install either, or set TAGWAY_CONSUL to a consul binary" >&2
    exit 1
else
    echo "consul: building $version with $(command -v go), once; this takes some minutes" >&2
    mkdir -p "$(dirname "$cached")"
    go build -o "$cached.new" github.com/hashicorp/consul >&2
    mv "$cached.new" "$cached"
    echo "$cached"
fi
