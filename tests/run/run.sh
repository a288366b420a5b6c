#!/usr/bin/env bash
# The app for real: your own list, your own keychain.
set -euo pipefail
. "$(dirname "$0")/env.sh"

if [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
  tests/run/build.sh cli
  echo "There is no display, so this is the gateway without the app: use $KEYFOB_BIN in another terminal, end with Ctrl-C."
  exec "$KEYFOB_BIN" serve "$@"
fi
tests/run/build.sh desktop
exec "$KEYFOB_DESKTOP_BIN" "$@"
