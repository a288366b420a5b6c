#!/usr/bin/env bash
# Keyfob against authorization servers that others wrote. interop.sh [options of tests/interop/run.mjs]
set -euo pipefail
. "$(dirname "$0")/env.sh"

tests/run/build.sh
# With the system's Node: only that one trusts the certificates that this system trusts.
node tests/interop/run.mjs --install-only "$@"
. tests/run/node.sh
exec node tests/interop/run.mjs "$@"
