# Two commands on a fresh machine: `make demo` and `make test`. Each sets up what it needs.
#
#   VENV=dir     the virtual environment (default .venv)
#   OFFLINE=1    install nothing: use what VENV and the machine already have
#   SYSTEM=none  leave the system's packages alone (default: Mosquitto and QEMU, if root and apt)
#   SYSTEM=full  also the cross compiler of the second toolchain and clang (about 1.2 GB)
#   EXTRAS=all,dev,meta  also torch, and with it the tests of what needs it

VENV ?= .venv
PYTHON ?= python3
OFFLINE ?= 0
FUZZ_SECONDS ?= 600
EXTRAS ?= all,dev
SYSTEM ?= basic
RUN := $(VENV)/bin/python
STAMP := $(VENV)/.tinyfleet-ready

.PHONY: demo test test-long fuzz lint images setup system clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

demo: setup  ## a fleet learns, ships and answers SPARQL (under 4 minutes after set-up)
	$(RUN) -m server.cli demo

test: setup lint  ## static checks and the fast tests
	$(RUN) -m pytest -q -n 2

test-long: setup  ## the tests that take longer
	$(RUN) -m pytest -q -m slow

fuzz: setup  ## fuzz the C parsers, FUZZ_SECONDS each (needs clang)
	$(RUN) -m tests.fuzz.run --seconds $(FUZZ_SECONDS)

lint: setup
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

images: setup  ## rebuild the firmware images with zig
	$(RUN) -m server.cli sim build

setup: system $(STAMP)

system:
	@OFFLINE=$(OFFLINE) SYSTEM=$(SYSTEM) sh tools/system-packages.sh

ifeq ($(OFFLINE),1)
$(STAMP): ;
else
$(STAMP): pyproject.toml setup.py constraints.txt $(wildcard edge/learner/src/*.[ch] edge/learner/include/*.h)
	test -x $(RUN) || $(PYTHON) -m venv $(VENV)
	$(RUN) -m pip install -q -c constraints.txt -e '.[$(EXTRAS)]'
	@touch $(STAMP)
endif

clean:
	rm -rf $(VENV) build *.egg-info runs .pytest_cache .mypy_cache .ruff_cache
