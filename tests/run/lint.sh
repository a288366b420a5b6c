#!/usr/bin/env bash
# Formatting, clippy, licences, known faults of dependencies, and the rules between the crates that no compiler checks: all of it, then the verdict.
set -uo pipefail
. "$(dirname "$0")/env.sh"

status=0
check() {
  echo "-- $*"
  "$@" || status=1
}

check tests/run/ui.sh build
check cargo fmt --all --check
check cargo clippy --locked --workspace --all-targets --quiet -- -D warnings
check cargo deny --all-features --log-level error check bans licenses sources
check tests/run/advisories.sh
check tests/run/rules.sh
exit $status
