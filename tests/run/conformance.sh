#!/usr/bin/env bash
# The official conformance suite through the real gateway.
set -euo pipefail
. "$(dirname "$0")/env.sh"

if [ -z "$("$KEYFOB_BIN" --version)" ]; then
  echo "keyfob is an empty program yet"
  exit 0
fi
. tests/run/node.sh
exec node tests/conformance/run.mjs "$@"
