#!/usr/bin/env bash
# The official conformance suite through the real gateway.
set -euo pipefail
. "$(dirname "$0")/env.sh"

tests/run/build.sh cli
tests/run/npm-ci.sh tests/conformance/suite
tests/run/npm-ci.sh tests/conformance/client
. tests/run/node.sh
exec node tests/conformance/run.mjs "$@"
