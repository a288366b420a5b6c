SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help test lint demo run interop bench

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

test: ## everything that has to pass: lint, unit, black-box, keychain, official suite, interop (installs what is missing)
	@tests/run/all.sh

lint: ## formatting, clippy, licences, the rules between the crates
	@tests/run/install.sh lint
	@tests/run/lint.sh

demo: ## servers of our own, signed in to and used through the gateway, on this machine only
	@tests/run/install.sh demo
	@tests/run/demo.sh

run: ## the gateway with your own list of servers
	@tests/run/install.sh run
	@tests/run/serve.sh

interop: ## keyfob against authorization servers that others wrote
	@tests/run/install.sh interop
	@tests/run/interop.sh

bench: ## what the gateway adds, beside nginx, in one run
	@tests/run/install.sh bench
	@tests/run/bench.sh
