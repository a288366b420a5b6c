#!/usr/bin/env bash
# The main job on servers of our own: the app where there is a display, else the same, printed.
set -euo pipefail
. "$(dirname "$0")/env.sh"

# All that the demo starts, in one build, so that each dependency is compiled once.
programs=("${testkit[@]}" --bin keyfob --bin keyfob-demo --bin keyfob-test-browser)
if [ -n "${DISPLAY:-}${WAYLAND_DISPLAY:-}" ]; then
  tests/run/ui.sh build
  programs+=(-p keyfob-desktop --bin keyfob-desktop)
fi
cargo build --locked "${programs[@]}"
export KEYFOB_BIN=$CARGO_TARGET_DIR/debug/keyfob KEYFOB_DESKTOP_BIN=$CARGO_TARGET_DIR/debug/keyfob-desktop
exec "$CARGO_TARGET_DIR/debug/keyfob-demo" "$@"
