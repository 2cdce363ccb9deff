# make demo | test | lint | bench | setup: each installs what it needs, on a bare Debian 12 with Python 3.11.
# What is installed is remembered in .make/; `make clean` forgets it.

SHELL := /bin/sh
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SUDO := $(shell [ "$$(id -u)" = 0 ] || echo sudo)

# What the lab's machines run (they share this machine's programs), and what the tests call.
PACKAGES := busybox curl dash gcc iproute2 iptables iputils-arping iputils-ping ipvsadm keepalived kmod \
	openssh-client openssh-server procps python3-venv sudo systemd systemd-sysv tcpdump user-mode-linux

.PHONY: setup demo test test-quick lint bench golden reference format clean

setup: .make/venv

.make/venv: pyproject.toml
	@mkdir -p .make
	@$(PYTHON) -m venv --help >/dev/null 2>&1 && $(PYTHON) -c 'import ensurepip' 2>/dev/null || \
		{ $(SUDO) apt-get -qq update && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get -qqy install python3-venv; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

.make/packages: Makefile .ci/packages
	@mkdir -p .make
	@missing=$$(dpkg-query -W -f '$${Status} $${Package}\n' $(PACKAGES) 2>&1 | grep -vc '^install ok installed'); \
	if [ "$$missing" -gt 0 ]; then $(SUDO) .ci/packages $(PACKAGES); fi
	@touch $@

demo: setup .make/packages
	$(SUDO) $(BIN)/python -m lvsdeploy.lab.demo

# A lab often waits, so three run side by side on two cores; tests that measure times come after, alone.
test: test-quick
	$(SUDO) $(BIN)/python -m pytest -m 'lab and not alone' -n 3 --dist loadfile
	$(SUDO) $(BIN)/python -m pytest -m 'lab and alone'

test-quick: setup .make/packages
	$(SUDO) $(BIN)/python -m pytest -m 'not lab' -n 2

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/shellcheck .ci/* $$(find lvsdeploy tests -name '*.sh')

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

# The pages of docs/reference, from the code.
reference: setup
	$(BIN)/python -m lvsdeploy.inventory.reference
	$(BIN)/python -m lvsdeploy.cli.reference
	$(BIN)/python -m lvsdeploy.desired.reference

# The files that tests compare with, written anew: read the diff before you commit it.
golden: setup
	LVSDEPLOY_GOLDEN=write $(BIN)/python -m pytest -q tests/desired tests/inventory

bench: setup .make/packages
	$(SUDO) $(BIN)/python -m tests.bench

clean:
	$(SUDO) rm -rf .make $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
