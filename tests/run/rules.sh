#!/usr/bin/env bash
# Who may depend on what, and what a lock file may name.
set -euo pipefail
. "$(dirname "$0")/env.sh"

status=0
broken() {
  echo "rule broken: $*" >&2
  status=1
}

# keyfob-auth does no I/O.
tree=$(cargo tree --locked -p keyfob-auth -e normal --target all --prefix none --format '{p}')
for crate in tokio reqwest tauri hyper; do
  if grep -qE "^$crate v" <<<"$tree"; then broken "keyfob-auth depends on $crate"; fi
done

# With tokio, zbus would start a runtime of its own inside the vault's thread.
if grep -q '^name = "zbus"$' Cargo.lock; then
  features=$(cargo tree --locked --workspace -e features -i zbus --target all --prefix none)
  if grep -qE '^zbus feature "tokio"' <<<"$features"; then broken "zbus is built with its tokio feature"; fi
fi

# One binary without a desktop in it.
for crate in tauri gtk webkit2gtk; do
  if cargo tree --locked -p keyfob-cli -e normal --target all --prefix none --format '{p}' | grep -qE "^$crate v"; then
    broken "keyfob-cli depends on $crate"
  fi
done

# A lock file that names a registry's host works nowhere else.
while read -r lock; do
  if grep -qE '"resolved": *"https?:' "$lock"; then broken "$lock names where its packages were fetched"; fi
done < <(find . -name package-lock.json -not -path '*/node_modules/*')

[ $status = 0 ] && echo "crate rules and lock files: ok"
exit $status
