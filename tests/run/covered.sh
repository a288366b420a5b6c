#!/usr/bin/env bash
# covered.sh FOLDER: whether each test that docs/rules.md names has run and passed. FOLDER has the
# logs of the stages.
set -euo pipefail
. "$(dirname "$0")/env.sh"

logs=${1:?the folder with the logs of the stages}
ran=$(mktemp)
named=$(mktemp)
trap 'rm -f "$ran" "$named"' EXIT
# The runner's own lines: PASS [ 0.010s] (1/9) BINARY TEST
cat "$logs"/* | sed 's/\x1b\[[0-9;]*m//g' | grep -E '^ *(PASS|SLOW|LEAK) \[' | awk '{print $(NF-1), $NF}' | sort -u >"$ran"
grep -oE '`keyfob[^`]+`' docs/rules.md | tr -d '`' | sort -u >"$named"

failed=0
while read -r test; do
  echo "docs/rules.md names a test that did not run or did not pass: $test" >&2
  failed=$((failed + 1))
done < <(comm -13 "$ran" "$named")

# Every entry of every list has its row: a rule, and a test or a plain word why there is none.
entries() {
  local list=$1 from=$2 to=$3 number
  for number in $(seq "$from" "$to"); do
    grep -qE "^\| $list$number[a-z]? \|" docs/rules.md || {
      echo "docs/rules.md has no row for $list$number" >&2
      failed=$((failed + 1))
    }
  done
}
entries case- 1 87
entries defect-0 1 9
entries defect- 10 20
entries spec- 1 21
entries attack-A 1 3
entries attack-B 1 11
entries attack-C 1 4
for letter in T:8 R:7 A:6 U:1; do
  entries "compat-${letter%:*}" 1 "${letter#*:}"
done
while IFS='|' read -r _ entry _ tests _; do
  [[ "$tests" == *'`keyfob'* || "$tests" == *'not ours:'* || "$tests" == *'open:'* ]] || {
    echo "docs/rules.md:$entry names neither a test nor why there is none" >&2
    failed=$((failed + 1))
  }
done < <(grep -E '^\| (case|defect|compat|spec|attack)-' docs/rules.md)

open=$(grep -cE '^\| (case|defect|compat|spec|attack)-.*open:' docs/rules.md || true)
echo "rules: $(grep -cE '^\| (case|defect|compat|spec|attack)-' docs/rules.md) entries, $(wc -l <"$named") tests named, $open open"
[ $failed = 0 ]
