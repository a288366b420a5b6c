#!/usr/bin/env bash
# The suites that drive the release binary as a person or a client would.
set -euo pipefail
. "$(dirname "$0")/env.sh"

if ! compgen -G 'tests/tests/*.rs' >/dev/null && ! grep -rqE '#\[(tokio::)?test' tests/src; then
  echo "no suites in tests/ yet"
  exit 0
fi
tests/run/build.sh cli
tests/run/nextest.sh
