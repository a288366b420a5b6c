#!/usr/bin/env bash
# What the gateway adds to a request, beside nginx, and the app to a bare one, in one run each.
set -euo pipefail
. "$(dirname "$0")/env.sh"

tests/run/build.sh
tests/bench/relay.sh "$@"
tests/bench/desktop.sh
