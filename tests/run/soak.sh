#!/usr/bin/env bash
# soak.sh [SECONDS [TARGET...]]: each fuzz target, or these, for so long; ten minutes unless said
# otherwise. What it finds is kept below fuzz/artifacts; what it learns is not kept in the
# repository. The target sign-ins is 500 sign-ins at servers that are hostile at random, however
# long they take; its seed is printed, and KEYFOB_HOSTILE_SEED repeats it.
set -euo pipefail
. "$(dirname "$0")/env.sh"

seconds=${1:-600}
targets=("${@:2}")
[ ${#targets[@]} -gt 0 ] || targets=(sign-ins challenge metadata callback token)
learnt=$(mktemp -d)
trap 'rm -rf "$learnt"' EXIT

sign_ins() {
  cd "$root"
  tests/run/build.sh cli
  cargo test --locked "${testkit[@]}" --test hostile -- --ignored --nocapture
}

for target in "${targets[@]}"; do
  if [ "$target" = sign-ins ]; then
    sign_ins
    continue
  fi
  cd "$root/src-tauri/crates/auth"
  mkdir "$learnt/$target"
  # The fuzzer wants flags of the compiler that only a nightly has under their own name.
  RUSTC_BOOTSTRAP=1 cargo fuzz run --target-dir "$CARGO_TARGET_DIR/fuzz" "$target" \
    "$learnt/$target" "fuzz/corpus/$target" -- -max_total_time="$seconds" -print_final_stats=1 2>&1 |
    tee "$learnt/log" | grep -E 'panicked|SUMMARY|stat::number_of_executed_units|^Done' || true
  if grep -qE 'SUMMARY: |panicked at' "$learnt/log"; then
    tail -n 60 "$learnt/log"
    echo "$target: a finding, see src-tauri/crates/auth/fuzz/artifacts/$target"
    exit 1
  fi
  if ! grep -qE '^Done [0-9]+ runs' "$learnt/log"; then
    tail -n 60 "$learnt/log"
    echo "$target: it did not run to its end"
    exit 1
  fi
  echo "$target: $seconds s without a finding"
done
