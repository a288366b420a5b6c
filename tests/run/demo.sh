#!/usr/bin/env bash
# The main job on servers of our own.
set -euo pipefail
. "$(dirname "$0")/env.sh"

tests/run/build.sh
cargo build --locked -p keyfob-tests --bin keyfob-demo
exec "$CARGO_TARGET_DIR/debug/keyfob-demo" "$@"
