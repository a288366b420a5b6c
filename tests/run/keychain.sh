#!/usr/bin/env bash
# The vault on a real gnome-keyring, in a D-Bus session and a home of its own: nobody's keychain is touched.
set -euo pipefail
. "$(dirname "$0")/env.sh"

if [ "${1:-}" != inside ]; then
  tests/run/build.sh cli
  home=$(mktemp -d)
  trap 'rm -rf "$home"' EXIT
  mkdir -m 700 "$home/runtime" "$home/data" "$home/config" "$home/cache"
  # Cargo has to keep finding its own folders although HOME moves.
  export CARGO_HOME=${CARGO_HOME:-$HOME/.cargo} RUSTUP_HOME=${RUSTUP_HOME:-$HOME/.rustup}
  env -u DISPLAY -u WAYLAND_DISPLAY -u DBUS_SESSION_BUS_ADDRESS \
    HOME="$home" XDG_RUNTIME_DIR="$home/runtime" XDG_DATA_HOME="$home/data" \
    XDG_CONFIG_HOME="$home/config" XDG_CACHE_HOME="$home/cache" \
    dbus-run-session -- "$0" inside
  exit
fi

# Unlocks (and the first time makes) the login keyring with an empty password.
printf '\n' | gnome-keyring-daemon --unlock --components=secrets >/dev/null
# Asked too early, the bus would start a second daemon, with its keyring locked.
for _ in $(seq 50); do
  [[ "$(dbus-send --session --print-reply --dest=org.freedesktop.DBus /org/freedesktop/DBus \
    org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets)" != *"boolean true"* ]] || break
  sleep 0.1
done
printf 'planted' | secret-tool store --label=probe keyfob-probe 1
[ "$(secret-tool lookup keyfob-probe 1)" = planted ] || { echo "this keyring does not keep a secret" >&2; exit 1; }
secret-tool clear keyfob-probe 1

export KEYFOB_TEST_KEYCHAIN=1
ran=0
if grep -qE "^(pub )?mod vault;" src-tauri/crates/core/src/lib.rs; then
  cargo nextest run --locked -p keyfob-core vault
  ran=1
fi
if [ -e tests/tests/keychain.rs ]; then
  tests/run/nextest.sh --test 'keychain*' --run-ignored all
  ran=1
fi
[ $ran = 1 ] || echo "the keyring works; no test uses it yet"
