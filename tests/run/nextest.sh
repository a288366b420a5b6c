#!/usr/bin/env bash
# nextest.sh ARGUMENTS...: runs tests of keyfob-tests. Arguments go to the runner.
set -euo pipefail
. "$(dirname "$0")/env.sh"

exec cargo nextest run --locked "${testkit[@]}" -E 'package(keyfob-tests)' "$@"
