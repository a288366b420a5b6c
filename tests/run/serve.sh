#!/usr/bin/env bash
# There is no desktop app yet; the gateway is complete without one.
set -euo pipefail
. "$(dirname "$0")/env.sh"

cargo build --locked --release -p keyfob-cli --bin keyfob
echo "The desktop app comes later. This is the gateway without it: use $KEYFOB_BIN in another terminal, end with Ctrl-C."
exec "$KEYFOB_BIN" serve "$@"
