#!/usr/bin/env bash
# The main job on servers of our own.
set -euo pipefail
. "$(dirname "$0")/env.sh"

cargo build --locked --release -p keyfob-cli -p keyfob-tests --bin keyfob --bin keyfob-demo
exec "$CARGO_TARGET_DIR/release/keyfob-demo" "$@"
