#!/usr/bin/env bash
# The page: ui.sh build puts it where the desktop app takes it from; ui.sh test checks it.
set -euo pipefail
. "$(dirname "$0")/env.sh"

. tests/run/node.sh
tests/run/npm-ci.sh ui
cd ui
case "${1:-build}" in
  build)
    # Only where something is newer than the last build: the app is built anew with each.
    newest=$(find src locales index.html package-lock.json vite.config.ts svelte.config.js tsconfig.json -newer dist/index.html -print -quit 2>/dev/null || echo none)
    [ -e dist/index.html ] && [ -z "$newest" ] || npm run --silent build
    ;;
  test)
    npm run --silent check
    npm run --silent test
    npm run --silent build
    bytes=$(cat dist/assets/*.js dist/assets/*.css | gzip -9 | wc -c)
    echo "page: $bytes bytes compressed (budget 61440)"
    [ "$bytes" -le 61440 ]
    ;;
  *)
    echo "usage: ui.sh build|test" >&2
    exit 2
    ;;
esac
