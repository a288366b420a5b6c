#!/usr/bin/env bash
# The release binary as it ships, and what it may be linked with.
set -euo pipefail
. "$(dirname "$0")/env.sh"

# Alone: built together with the testkit it would get the testkit's features too.
cargo build --locked --release -p keyfob-cli --bin keyfob

if ldd "$KEYFOB_BIN" | grep -iE 'gtk|webkit|gdk'; then
  echo "keyfob is linked with a desktop library" >&2
  exit 1
fi
echo "keyfob: $(stat -c %s "$KEYFOB_BIN") bytes, neither GTK nor WebKit"
