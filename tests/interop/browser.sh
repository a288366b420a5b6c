#!/bin/sh
# For --browser: a program that gets the link as its only argument and clicks through consent pages.
exec node "$(dirname -- "$0")/common/browser.mjs" "$1"
