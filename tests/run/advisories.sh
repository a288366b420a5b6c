#!/usr/bin/env bash
# advisories.sh [DENY.TOML]: what is known against the versions in our lock files. Nothing is
# fetched: crates are held against the copy of the RustSec database that `cargo deny fetch db` has
# made, below $CARGO_HOME/advisory-dbs or in the folder that KEYFOB_ADVISORY_DBS names. npm asks its
# registry. Where there is no copy, or no answer, that is said, and is no failure.
set -euo pipefail
. "$(dirname "$0")/env.sh"

config=${1:-deny.toml}
status=0

databases=${KEYFOB_ADVISORY_DBS:-${CARGO_HOME:-$HOME/.cargo}/advisory-dbs}
if compgen -G "$databases/*/crates" >/dev/null; then
  # An old copy is better than none, so its age is told and not judged.
  for copy in "$databases"/*/crates; do
    echo "crates: held against $(dirname "$copy") of $(date -r "$(dirname "$copy")/.git" +%F)"
  done
  told=$(mktemp --suffix .toml)
  trap 'rm -f "$told"' EXIT
  sed "s|^\[advisories\]\$|&\ndb-path = \"$databases\"\nmaximum-db-staleness = \"P9999D\"|" "$config" >"$told"
  cargo deny --offline --locked --all-features --log-level error --config "$told" check advisories || status=1
else
  echo "crates: not checked, no copy of the advisory database in $databases (\`cargo deny fetch db\` makes one)"
fi

# audit OPTIONS...: what the registry knows against the lock file here; fails where it does not answer.
audit() {
  local answer
  answer=$(npm audit --json --package-lock-only "$@" </dev/null 2>/dev/null) || true
  if [ -z "$(jq -r '.auditReportVersion // empty' <<<"$answer" 2>/dev/null)" ]; then
    jq -r '.message // .error.summary // empty' <<<"$answer" 2>/dev/null || true
    return 1
  fi
  jq -r '.vulnerabilities[]? | "\(.severity): \(.name) \(.range)"' <<<"$answer"
}

# What only builds or tests is told. What is in the app must be clean.
while read -r lock; do
  folder=$(dirname "$lock")
  # Who does not answer for one folder is not asked for the next.
  found=$(cd "$folder" && audit) || { echo "npm: not checked, the registry does not answer${found:+: $found}"; break; }
  echo "$folder: $(grep -c . <<<"$found" || true) known"
  [ -z "$found" ] || sed 's/^/  /' <<<"$found"
  [ "$folder" = ./ui ] || continue
  found=$(cd "$folder" && audit --omit=dev) || { echo "npm: not checked, the registry does not answer${found:+: $found}"; break; }
  [ -z "$found" ] || { echo "the app would have in it: $found" >&2; status=1; }
done < <(find . -name package-lock.json -not -path '*/node_modules/*' | sort -r)
exit $status
