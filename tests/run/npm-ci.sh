#!/usr/bin/env bash
# npm-ci.sh FOLDER: what its lock file says, only where that is not there already.
set -euo pipefail
cd "$1"
[ node_modules/.package-lock.json -nt package-lock.json ] && exit 0
echo "npm ci in $1"
npm ci --no-audit --no-fund --loglevel=error </dev/null
# npm keeps the time of the archive's files; this is what the line above compares.
touch node_modules/.package-lock.json
