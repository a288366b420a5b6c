#!/usr/bin/env bash
# Keyfob against authorization servers that others wrote. interop.sh [options of tests/interop/run.mjs]
set -euo pipefail
. "$(dirname "$0")/env.sh"

cargo build --locked --release -p keyfob-cli --bin keyfob
if [ -z "$("$KEYFOB_BIN" --version)" ]; then
  echo "keyfob is an empty program yet"
  exit 0
fi
. tests/run/node.sh
exec node tests/interop/run.mjs --install "$@"
