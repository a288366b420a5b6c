#!/usr/bin/env bash
# Runs the stages in order, each timed. A failed stage does not hide the result of the next.
set -uo pipefail
. "$(dirname "$0")/env.sh"

logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT
times=()
failed=()

stage() {
  local name=$1 began=$SECONDS status=0
  shift
  printf '\n== %s\n' "$name"
  "$@" </dev/null 2>&1 | tee "$logs/$name"
  status=${PIPESTATUS[0]}
  [ "$status" = 0 ] || failed+=("$name")
  times+=("$(printf '%6d s  %-12s %s' $((SECONDS - began)) "$name" "$([ "$status" = 0 ] && echo ok || echo FAILED)")")
  return "$status"
}

finish() {
  printf '\n== seconds by stage\n'
  printf '%s\n' "${times[@]}"
  if [ ${#failed[@]} -gt 0 ]; then
    printf '\nfailed: %s\n' "${failed[*]}"
  fi
  printf '\n== what the runners counted\n'
  # Their own words, where a reader of the last lines looks for them.
  for name in conformance interop identity ui unit blackbox keychain desktop; do
    [ -e "$logs/$name" ] || continue
    sed 's/\x1b\[[0-9;]*m//g' "$logs/$name" |
      grep -E '^ *Tests  [0-9]|^ *Summary \[|^test result: .* [1-9][0-9]* passed|^(conformance|interop|identity): ' || true
  done
  [ ${#failed[@]} = 0 ]
}

stage install tests/run/install.sh test || { finish; exit 1; }
stage demo tests/run/first-command.sh
stage ui tests/run/ui.sh test
stage lint tests/run/lint.sh
stage unit tests/run/unit.sh
stage identity tests/run/identity.sh
stage build tests/run/build.sh all || { finish; exit 1; }
stage blackbox tests/run/blackbox.sh
stage keychain tests/run/keychain.sh
stage desktop tests/run/desktop.sh
stage conformance tests/run/conformance.sh
# The Python server takes a venv of its own: `make interop` has it too.
stage interop tests/run/interop.sh --skip fastmcp
stage rules tests/run/covered.sh "$logs"
finish
