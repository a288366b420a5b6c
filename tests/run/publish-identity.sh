#!/usr/bin/env bash
# publish-identity.sh FOLDER URL: writes what has to lie under URL, ready for a static host: the
# client document, as `keyfob identity print` makes it. URL is what the build is told as
# KEYFOB_CLIENT_METADATA_URL.
set -euo pipefail
. "$(dirname "$0")/env.sh"

folder=${1:?the folder to publish}
url=${2:?the address under which it will lie}

case "$url" in
  https://*/*) ;;
  *) echo "the address of a client document is https and has a path, unlike $url" >&2; exit 2 ;;
esac
[ -x "$KEYFOB_BIN" ] || tests/run/build.sh cli
name=${url##*/}
mkdir -p "$folder"
"$KEYFOB_BIN" identity print --url "$url" >"$folder/$name"
bytes=$(stat -c %s "$folder/$name")
[ "$bytes" -le 5120 ] || { echo "the document has $bytes bytes; sign-in services take 5120" >&2; exit 1; }
# A static host guesses types by the ending; one that is told here does not have to.
printf '/%s\n  Content-Type: application/json\n  Cache-Control: max-age=3600\n' "$name" >"$folder/_headers"
# GitHub's host leaves out nothing then.
: >"$folder/.nojekyll"
echo "$folder/$name: $bytes bytes, for $url"
