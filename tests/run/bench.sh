#!/usr/bin/env bash
# What the gateway adds to a request, beside nginx, in one run.
set -euo pipefail
. "$(dirname "$0")/env.sh"

tests/run/build.sh
exec tests/bench/relay.sh "$@"
