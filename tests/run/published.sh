#!/usr/bin/env bash
# published.sh URL FOLDER: whether what lies under URL is the document of the packages in FOLDER.
set -euo pipefail

url=${1:?the address of the client document}
folder=${2:?the folder with the packages}
home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
for package in "$folder"/*.tar.gz; do
  tar -C "$home" --strip-components=1 -xzf "$package"
  # Without a setting it is the address that the build was made with.
  said=$(KEYFOB_HOME=$home/keyfob "$home/bin/keyfob" identity check)
  echo "$said"
  [[ "$said" == *"$url"* ]] || { echo "$package was made for another address than $url" >&2; exit 1; }
done
