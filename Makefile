# Short verbs; `make` lists them. More for pytest: make test ARGS="-k drain".

PYTHON := .venv/bin/python
# Tests mostly wait, so four at a time keep two cores busy; those of one file stay together.
PYTEST := $(PYTHON) -m pytest -n 4 --dist loadfile
# What is built upon these does not depend on the broker's version.
AT_THE_BROKER := tests/broker tests/system/test_rights.py tests/faults/test_rabbitmq_cluster.py
.DEFAULT_GOAL := help
.PHONY: help run cluster test test-all bench check format client lock clean

help:  ## list these verbs
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

run:  ## start one node, with nothing but Python, and a page that shows a real job
	@deploy/install.sh
	@exec $(PYTHON) -m progress_ws.demo

cluster:  ## start RabbitMQ, three nodes and nginx: with Docker, or without it
	@deploy/install.sh
	@exec $(PYTHON) -m deploy.cluster

test:  ## run the tests, in minutes, against real parts
	@deploy/install.sh test
	$(PYTEST) -m "not slow" $(ARGS)

# The slow ones three at a time: what is measured in a fault's seconds needs room. 5: ARGS left none.
test-all:  ## run the long fault and load tests, too, and what talks to a broker also with RabbitMQ 4
	@deploy/install.sh test-all
	$(PYTEST) -m "not slow" $(ARGS) || test $$? = 5
	$(PYTEST) -m slow -n 3 $(ARGS) || test $$? = 5
	@deploy/trixie.sh look >/dev/null || { echo "Skipped: the tests against RabbitMQ 4."; exit 0; }; \
		set -x; $(PYTEST) -n 2 --rabbitmq=4 -m "broker and not browser" $(AT_THE_BROKER) $(ARGS) || test $$? = 5

bench:  ## measure ours beside its peers, in one run; a glance: make bench ARGS=--quick
	@deploy/install.sh bench
	@exec .venv/bench/bin/python -m tests.bench $(ARGS)

check:  ## look at format, lint and types
	@deploy/install.sh test
	$(PYTHON) -m ruff format --check && $(PYTHON) -m ruff check && $(PYTHON) -m mypy

format:  ## format the code and mend what lint can mend
	@deploy/install.sh test
	$(PYTHON) -m ruff format && $(PYTHON) -m ruff check --fix

client:  ## build the browser modules from progress_ws/client/src
	@deploy/install.sh test
	node tests/client/build.mjs

lock:  ## take the newest allowed packages into tests/requirements.txt
	deploy/lock.sh

clean:  ## remove what these verbs made here; RabbitMQ 4 stays in ~/.cache/progress-ws/trixie
	find progress_ws deploy tests -name __pycache__ -prune -exec rm -rf {} +
	rm -rf .venv build dist *.egg-info tests/client/node_modules tests/bench/programs/node_modules .*_cache .hypothesis .coverage*
