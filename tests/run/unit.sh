#!/usr/bin/env bash
# Unit, property and documentation tests of the product crates.
set -euo pipefail
. "$(dirname "$0")/env.sh"

cargo nextest run --locked --workspace --exclude keyfob-tests
if grep -rqE '^\s*//[/!] ```' --include='*.rs' src-tauri/crates; then
  cargo test --locked --workspace --exclude keyfob-tests --doc --quiet
fi
