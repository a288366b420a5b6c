#!/usr/bin/env bash
# A build that is told the address of its client document uses it, and a setting overrides it.
set -euo pipefail
. "$(dirname "$0")/env.sh"

built=https://built-in.keyfob.invalid/client.json
set_here=https://set-here.keyfob.invalid/client.json
# The debug build: what ships must not be made anew with this address in it.
KEYFOB_CLIENT_METADATA_URL=$built cargo build --locked "${testkit[@]}" --bin keyfob
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
names() {
  # Nobody answers there, so the check fails, and names whom it asked.
  local said
  said=$(KEYFOB_HOME=$home "$CARGO_TARGET_DIR/debug/keyfob" identity check --json 2>&1 || true)
  [[ "$said" == *"$1"* ]] || { echo "it does not ask $1: $said" >&2; exit 1; }
}
names "$built"
mkdir -p "$home/config"
printf 'client_metadata_url = "%s"\n' "$set_here" >"$home/config/config.toml"
names "$set_here"
env -u KEYFOB_CLIENT_METADATA_URL cargo build --locked "${testkit[@]}" --bin keyfob
rm "$home/config/config.toml"
names no-client-document
echo "identity: 3 passed, 0 failed"
