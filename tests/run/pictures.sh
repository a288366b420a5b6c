#!/usr/bin/env bash
# Pictures of the real app in the virtual desktop, into docs/images or the folder that is named.
set -euo pipefail
. "$(dirname "$0")/env.sh"

tests/run/build.sh all
cargo build --locked "${testkit[@]}" --bin keyfob-pictures --bin keyfob-test-browser
KEYFOB_TEST_DESKTOP=1 tests/run/virtual-desktop.sh \
  "$CARGO_TARGET_DIR/debug/keyfob-pictures" "${1:-$PWD/docs/images}"
