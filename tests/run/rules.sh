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

# One file of the page talks to the app, and asks for exactly what the window is allowed.
while read -r file; do
  [ "$file" = ui/src/lib/ipc.ts ] || broken "$file imports @tauri-apps/api"
done < <(grep -rl --include='*.ts' --include='*.svelte' '@tauri-apps/api' ui/src)
asked=$(grep -oE "invoke<[^(]*\('[a-z_]+'" ui/src/lib/ipc.ts | grep -oE "'[a-z_]+" | tr -d "'" | sort)
allowed=$(grep -oE '"allow-[a-z-]+' src-tauri/capabilities/main.json | sed 's/"allow-//; s/-/_/g' | sort)
served=$(sed -n '/generate_handler!\[/,/\]/p' src-tauri/src/commands.rs | grep -oE '^ +[a-z_]+' | tr -d ' ' | grep -v '^tauri$' | sort)
[ -n "$asked" ] && [ "$asked" = "$allowed" ] || broken "the page asks for other commands than its capability allows"
[ "$served" = "$allowed" ] || broken "the app serves other commands than its capability allows"

[ $status = 0 ] && echo "crate rules and lock files: ok"
exit $status
