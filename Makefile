# `make` lists the targets. Everything runs in .venv, which the targets make and fill by themselves.
#
#   EXTRAS=dev,onnx,openvino,demo,search   extras of the package to install
#   TORCH=system           see the machine's own packages and keep its torch (a CUDA build, say)
#   PYTHON=python3.12      the Python to make .venv with (default: python3.11, else python3)
#   PIP_ARGS=              more arguments for pip install (another index, --no-index --find-links DIR, ...)
#   PYTEST_ARGS=           more arguments for pytest (-k NAME, -x, ...)
#   YOLOSLIM_TEST_DATA=    folder of real data; tests that need it are skipped without it

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.ONESHELL:  # a recipe is one script, and its first failing line stops it (-e)

EXTRAS ?= dev,onnx,openvino,demo,search
TORCH ?= pinned
PYTHON ?=
PIP_ARGS ?=
PYTEST_ARGS ?=
export YOLOSLIM_TEST_DATA

VENV := .venv
PY := $(VENV)/bin/python
STAMP := $(VENV)/.installed-$(TORCH)-$(EXTRAS)
PYTEST := $(PY) -m pytest -n 2 --dist worksteal
NOT_HERE := not gpu and not browser

.PHONY: help install demo test test-fast test-slow bench lint format clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv and install the package into it, editable

demo: $(STAMP) ## train a detector of digits, make it small, and write a report (about 5 minutes on two idle cores)
	$(VENV)/bin/yoloslim demo

test: $(STAMP) ## all tests but the slow ones (under 8 minutes on two cores)
	$(PYTEST) -m "$(NOT_HERE) and not slow" $(PYTEST_ARGS)

test-fast: $(STAMP) ## the fast tests (under 2 minutes)
	$(PYTEST) -m "$(NOT_HERE) and not slow and not medium" $(PYTEST_ARGS)

test-slow: $(STAMP) ## the slow tests alone (under 30 minutes)
	@collected=0
	$(PY) -m pytest --collect-only -q -m "$(NOT_HERE) and slow" >/dev/null 2>&1 || collected=$$?
	if [ $$collected -eq 5 ]; then echo "There are no slow tests."; exit 0; fi
	set -x
	$(PYTEST) -m "$(NOT_HERE) and slow" $(PYTEST_ARGS)

bench: $(STAMP) ## a fresh network learns 32 pictures by heart (needs YOLOSLIM_TEST_DATA; under 20 minutes on two idle cores)
	$(PY) benchmarks/overfit.py

lint: $(STAMP) ## ruff check, ruff format --check, mypy
	$(PY) -m ruff check .
	$(PY) -m ruff format --check .
	$(PY) -m mypy

format: $(STAMP) ## let ruff mend what it can
	$(PY) -m ruff check --fix .
	$(PY) -m ruff format .

clean: ## remove .venv, caches and build outputs
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find src tests benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

# ---- the environment -------------------------------------------------------------------------------------------------

# Prints constraints.txt with torch at the version this machine has, and without a word on what torch itself requires.
define MACHINE_PINS
import re, sys
from importlib import metadata

def canonical(line):
    return re.sub("[-_.]+", "-", re.match("[A-Za-z0-9._-]+", line).group()).lower()

try:
    torch = metadata.distribution("torch")
except metadata.PackageNotFoundError:
    sys.exit("TORCH=system: this machine's python has no torch. Leave TORCH=system out to install the pinned one.")
free = {"torch"} | {canonical(line) for line in torch.requires or [] if "extra ==" not in line}
for line in open("constraints.txt"):
    if line.startswith("#") or canonical(line) not in free:
        print(line, end="")
print(f"torch=={torch.version}")
endef
export MACHINE_PINS

$(STAMP): pyproject.toml constraints.txt
	@case "$(TORCH)" in pinned) system=false ;; system) system=true ;; *) echo "TORCH=$(TORCH): expected pinned or system" >&2; exit 1 ;; esac
	if ! { $(PY) -m pip --version >/dev/null 2>&1 && grep -q "include-system-site-packages = $$system" $(VENV)/pyvenv.cfg; }; then
	  python=
	  for candidate in $(or $(PYTHON),python3.11 python3); do
	    if $$candidate -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then python=$$candidate; break; fi
	  done
	  sudo=$$([ "$$(id -u)" -eq 0 ] || echo "sudo ")
	  if [ -z "$$python" ]; then
	    echo "$(or $(PYTHON),Python) was not found or is older than 3.11. Install it, then run make again:" >&2
	    echo "  $${sudo}apt-get install -y python3 python3-venv" >&2
	    exit 1
	  fi
	  echo "Making $(VENV) with $$($$python --version)"
	  flags=--clear; [ $$system = false ] || flags="--clear --system-site-packages"
	  if ! { $$python -c 'import venv, ensurepip' && $$python -m venv $$flags $(VENV) && $(PY) -m pip --version; } >/dev/null 2>&1; then
	    rm -rf $(VENV)
	    echo "$$python cannot make a virtual environment (its modules venv or ensurepip are missing). Install them, then run make again:" >&2
	    echo "  $${sudo}apt-get install -y $$($$python -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')" >&2
	    exit 1
	  fi
	fi
	pins=constraints.txt
	if [ $$system = true ]; then pins=$(VENV)/constraints.txt; $(PY) -c "$$MACHINE_PINS" > $$pins; fi
	rm -f $(VENV)/.installed-*
	$(PY) -m pip install --disable-pip-version-check -q $(PIP_ARGS) -c $$pins hatchling editables
	$(PY) -m pip install --disable-pip-version-check -q $(PIP_ARGS) -c $$pins --no-build-isolation -e ".[$(EXTRAS)]"
	touch $@
