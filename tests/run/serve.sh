#!/usr/bin/env bash
# There is no desktop app yet; the gateway is complete without one.
set -euo pipefail
. "$(dirname "$0")/env.sh"

tests/run/build.sh
echo "The desktop app comes later. This is the gateway without it: use $KEYFOB_BIN in another terminal, end with Ctrl-C."
exec "$KEYFOB_BIN" serve "$@"
