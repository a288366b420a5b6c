#!/usr/bin/env bash
# The official conformance suite through the real gateway.
set -euo pipefail
. "$(dirname "$0")/env.sh"

. tests/run/node.sh
exec node tests/conformance/run.mjs "$@"
