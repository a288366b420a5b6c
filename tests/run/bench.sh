#!/usr/bin/env bash
# What the gateway adds to a request, beside nginx, in one run.
set -euo pipefail
. "$(dirname "$0")/env.sh"

cargo build --locked --release -p keyfob-cli --bin keyfob
exec tests/bench/relay.sh "$@"
