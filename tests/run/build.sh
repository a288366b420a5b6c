#!/usr/bin/env bash
# The release binary that the suites drive, and what it may be linked with.
set -euo pipefail
. "$(dirname "$0")/env.sh"

cargo build --locked --release --workspace --bins

if ldd "$KEYFOB_BIN" | grep -iE 'gtk|webkit|gdk'; then
  echo "keyfob is linked with a desktop library" >&2
  exit 1
fi
echo "keyfob: $(stat -c %s "$KEYFOB_BIN") bytes, neither GTK nor WebKit"
