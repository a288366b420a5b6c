#!/usr/bin/env bash
# Formatting, clippy, licences, and the rules between the crates that no compiler checks: all of it, then the verdict.
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
echo "(advisories are not checked here: their database is on the network)"
check tests/run/rules.sh
exit $status
