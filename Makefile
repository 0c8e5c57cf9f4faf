# Every target installs what is missing first (deploy/local/bootstrap.py) and is quick when nothing is.
# Python itself is all that must be there: `make PYTHON=python3.12 up` names another one.
PYTHON ?= python3
FLEET ?= 300
LAUNCHER := .venv/bin/python -m launcher
INSTALL := $(PYTHON) deploy/local/bootstrap.py
ifdef NO_INSTALL
INSTALL := true
endif

.DEFAULT_GOAL := help
.PHONY: help install up down status logs run walk check test test-long test-fresh bench bench-curtail check-deploy lock contracts

help: ## Show this list
	@echo "Hashyard: make <target> [NAME=value]"
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/  \1\t\2/p' Makefile | expand -t 18

install: ## Install what is missing: Debian packages, .venv, Kafka's jars
	@$(INSTALL)

up: install ## Start everything and a simulated fleet (FLEET=300)
	@$(LAUNCHER) up --fleet $(FLEET)

down: ## Stop everything; data stays in .local
	@if [ -x .venv/bin/python ]; then $(LAUNCHER) down; fi

status: ## Show what runs
	@if [ -x .venv/bin/python ]; then $(LAUNCHER) status; else echo "Nothing is installed: make up"; fi

logs: ## Follow the logs of one service, or of all (s=hosting)
	@$(LAUNCHER) logs $(s)

run: ## Run one service in the foreground, reloading, beside the running system (s=hosting)
	@$(LAUNCHER) run $(s)

walk: install ## Play the main job against the running system
	@$(LAUNCHER) walk

check: install ## Format, lint, types, imports, dependencies, lock, contracts, spelling; no tests
	@$(LAUNCHER) check

test: install ## Run the suite, or a part (s=hosting k=expression)
	@$(LAUNCHER) test $(if $(s),--part $(s)) $(if $(k),--keyword "$(k)")

test-long: install ## Soak, full site, long faults, fuzzing
	@$(LAUNCHER) test --long

test-fresh: install ## Run .ci/run in a bare Debian chroot, as root and as a sudo user (needs root)
	@$(LAUNCHER) test-fresh

bench: install ## Measure every published figure against its peer
	@$(LAUNCHER) bench

bench-curtail: install ## Measure the headline: 2,000 of 6,000 machines ordered off
	@$(LAUNCHER) bench curtail

check-deploy: install ## Render and validate Compose and Kubernetes (needs kubectl)
	@$(LAUNCHER) check-deploy

lock: install ## Write requirements.lock anew from the members' requirements
	@deploy/local/lock.sh

contracts: install ## Write contracts/ anew from the services
	@$(LAUNCHER) contracts
