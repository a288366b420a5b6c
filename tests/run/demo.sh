#!/usr/bin/env bash
# The main job on servers of our own: the app where there is a display, else the same, printed.
set -euo pipefail
. "$(dirname "$0")/env.sh"

if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then tests/run/build.sh all; else tests/run/build.sh cli; fi
cargo build --locked -p keyfob-tests --bin keyfob-demo
exec "$CARGO_TARGET_DIR/debug/keyfob-demo" "$@"
