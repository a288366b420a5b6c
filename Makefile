SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help test lint demo run interop bench pictures soak package

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 10

test: ## everything that has to pass: page, lint, unit, black-box, keychain, desktop, official suite, interop (installs what is missing)
	@tests/run/all.sh

lint: ## formatting, clippy, licences, known faults of dependencies, the rules between the crates
	@tests/run/install.sh lint
	@tests/run/lint.sh

demo: ## the app on servers of our own, on this machine only (without a display: the same, printed)
	@tests/run/install.sh demo
	@tests/run/demo.sh

run: ## the app, with your own list of servers
	@tests/run/install.sh run
	@tests/run/run.sh

interop: ## keyfob against authorization servers that others wrote
	@tests/run/install.sh interop
	@tests/run/interop.sh

bench: ## what the gateway adds, beside nginx, in one run
	@tests/run/install.sh bench
	@tests/run/bench.sh

pictures: ## screenshots of every state into docs/images, from the real app in a virtual desktop
	@tests/run/install.sh pictures
	@tests/run/pictures.sh

soak: ## sign-ins at hostile servers, then each fuzz target for ten minutes
	@tests/run/install.sh soak
	@tests/run/soak.sh

package: ## the app and the command as an archive
	@tests/run/install.sh package
	@tests/run/package.sh
