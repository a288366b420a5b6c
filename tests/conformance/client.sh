#!/usr/bin/env bash
# client.sh URL: what the suite starts as "the client": the gateway for URL, an ordinary client behind it.
# The suite splits its command at every space and cannot quote: hence a file.
set -euo pipefail
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
url=$1
options=(
  --ephemeral
  --browser follow
  --client-metadata-url https://conformance-test.local/client-metadata.json
  --allow-legacy
  --log info
)

# What a person would have been given by the provider, and typed in. Secrets and keys go through the environment.
context=${MCP_CONFORMANCE_CONTEXT:-}
given() { jq -r ".$1 // empty" <<<"$context"; }
case ${MCP_CONFORMANCE_SCENARIO:-} in
  auth/client-credentials-*)
    options+=(--sign-in client-credentials --client-id "$(given client_id)")
    KEYFOB_CONFORMANCE_SECRET=$(given client_secret)
    KEYFOB_CONFORMANCE_KEY=$(given private_key_pem)
    export KEYFOB_CONFORMANCE_SECRET KEYFOB_CONFORMANCE_KEY
    [ -z "$KEYFOB_CONFORMANCE_SECRET" ] || options+=(--client-secret-env KEYFOB_CONFORMANCE_SECRET)
    [ -z "$KEYFOB_CONFORMANCE_KEY" ] || options+=(--client-key-env KEYFOB_CONFORMANCE_KEY)
    ;;
  auth/enterprise-managed-authorization)
    KEYFOB_CONFORMANCE_SECRET=$(given client_secret)
    KEYFOB_CONFORMANCE_ID_TOKEN=$(given idp_id_token)
    export KEYFOB_CONFORMANCE_SECRET KEYFOB_CONFORMANCE_ID_TOKEN
    options+=(
      --sign-in enterprise --client-id "$(given client_id)" --client-secret-env KEYFOB_CONFORMANCE_SECRET
      --idp-issuer "$(given idp_issuer)" --idp-client-id "$(given idp_client_id)"
      --idp-token-endpoint "$(given idp_token_endpoint)" --idp-id-token-env KEYFOB_CONFORMANCE_ID_TOKEN
    )
    ;;
  auth/dpop*) options+=(--dpop) ;;
esac
if [ "${MCP_CONFORMANCE_SCENARIO:-}" = auth/pre-registration ] && [ -n "$context" ]; then
  KEYFOB_CONFORMANCE_SECRET=$(jq -r '.client_secret // empty' <<<"$context")
  export KEYFOB_CONFORMANCE_SECRET
  options+=(--client-id "$(jq -r .client_id <<<"$context")" --client-secret-env KEYFOB_CONFORMANCE_SECRET)
  issuer=$(jq -r '.issuer // empty' <<<"$context")
  [ -z "$issuer" ] || options+=(--issuer "$issuer")
fi

exec "${KEYFOB_BIN:?}" exec "${options[@]}" "$url" -- "${KEYFOB_NODE:-node}" "$here/client/client.mjs" '{url}'
