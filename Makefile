# Everything happens in virtual environments below this directory; PYTHON=python3.13 chooses another interpreter.

PYTHON ?= python3
OTHER_PYTHONS ?= 3.12 3.13
PYTEST_ARGS ?=

SOURCES := setup.cfg pyproject.toml vrrplib/__init__.py

TARGET ?= packets frames captures authentication router
RUNS ?= 100000

.PHONY: demo test test-others check bench fuzz mutation explore matrix soak test-vm matrix-vm failures clean

# A virtual MAC that fails over, in throw-away network namespaces where that is allowed.
demo: .venv/installed-cli
	@.venv/bin/python -m vrrplib demo

# What tests write outside the checkout goes to one directory, which is removed whatever happens.
SCRATCH := scratch=$$(mktemp -d) && chmod 711 $$scratch && export TMPDIR=$$scratch && \
	trap 'rm -rf $$scratch' EXIT && trap 'exit 130' INT && trap 'exit 143' TERM

test: .venv/installed-test
	@$(SCRATCH); echo ".venv/bin/python -m pytest $(PYTEST_ARGS)"; .venv/bin/python -m pytest $(PYTEST_ARGS)
	@$(MAKE) --no-print-directory test-others

# On other versions of Python too, where they are present (a command of that name may be there and not work): all
# but whole LANs and other implementations, which take minutes and see the same frames from every Python.
# PYENV_VERSION is for pyenv, whose python3.12 works only where it is told so.
OTHER_ARGS := --ignore=tests/linux --ignore=tests/peers

test-others:
	@$(MAKE) --no-print-directory --jobs=2 --output-sync=target $(OTHER_PYTHONS:%=test-with-%)

test-with-%:
	@$(SCRATCH); own=$$(.venv/bin/python -c 'import sys; print("%d.%d" % sys.version_info[:2])'); \
	if [ $* = $$own ]; then exit 0; fi; \
	if ! PYENV_VERSION=$* python$* -c '' 2>/dev/null; then echo "skipped: python$* is not installed"; exit 0; fi; \
	PYENV_VERSION=$* $(MAKE) --no-print-directory .venv-$*/installed-test PYTHON=python$* || exit 1; \
	echo ".venv-$*/bin/python -m pytest $(OTHER_ARGS) $(PYTEST_ARGS)"; \
	.venv-$*/bin/python -m pytest $(OTHER_ARGS) $(PYTEST_ARGS)

# On other kinds of interface, under a stock Debian kernel in an emulator, which is fetched at the first time: takes root
# and apt. RESULTS=FILE keeps what was seen; VM_TESTS="tests/vm/test_crash.py -k bond" for some.
VM_TESTS ?= tests/vm
RESULTS ?=

test-vm: .venv/installed-test
	@$(SCRATCH); PYTHON=.venv/bin/python RESULTS=$(RESULTS) tests/vm/run main $(VM_TESTS)

# All cells: takes hours.
matrix-vm: .venv/installed-test
	@$(SCRATCH); PYTHON=.venv/bin/python RESULTS=$(RESULTS) tests/vm/run all $(VM_TESTS)

check: .venv/installed-test
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest -q tests/test_layering.py

bench: .venv/installed-bench
	@set -e; for file in benchmarks/bench_*.py; do echo "== $$file"; .venv/bin/python $$file; done

# Every state of two Routers and a million of three, under each rule set: docs/exploration.md. Minutes, and 2 GiB.
explore: .venv/installed-test
	.venv/bin/python -m tests.election.explore

# Every cell of the interoperation matrix that tests/data/matrix.jsonl does not have, and the page: an hour for all.
# MATRIX="--only frr/sigkill" for some; remove the lines to measure anew.
matrix: .venv/installed-test
	.venv/bin/python -m tests.matrix $(MATRIX)
	.venv/bin/python -m tests.matrix --docs

# Half an hour of 255 virtual routers with faults all the while; JSON lines, and a verdict for each criterion.
MINUTES ?= 30

soak: .venv/installed-test
	.venv/bin/python -m tests.soak --minutes $(MINUTES) $(SOAK)

# SIGKILL before every change of the host or of a file, of every backend and option: tests/linux/test_deaths.py, which
# `make test` does at a few points of each. A quarter of an hour.
failures: .venv/installed-test
	@$(SCRATCH); VRRPLIB_EVERY_POINT=1 VRRPLIB_REQUIRE_LINUX=1 .venv/bin/python -m pytest -s tests/linux/test_deaths.py \
		tests/backends/test_failures.py

# libFuzzer over ourselves: make fuzz TARGET=packets RUNS=1000000. The corpora stay in .fuzz/, and grow.
fuzz: .venv/installed-fuzz
	.venv/bin/python -m tests.fuzz.seeds .fuzz
	@set -e; for target in $(TARGET); do \
		echo "== $$target"; \
		mkdir -p .fuzz/findings; \
		.venv/bin/python -m tests.fuzz.fuzz_$$target .fuzz/fuzz_$$target -runs=$(RUNS) -dict=tests/fuzz/vrrp.dict \
			-artifact_prefix=.fuzz/findings/$$target- -max_len=2048 -timeout=10 -print_final_stats=1; \
	done

# Every mutant of vrrplib.election is killed by the quick tests, or argued in tests/election/equivalent.md: half an
# hour on two cores. MODULES="router timers" for some.
mutation: .venv/installed-test .venv/installed-mutation
	.venv/bin/python -m tests.mutants $(MODULES)

# An environment with the package, editable, and the extra that the file's name ends in.
.venv/installed-% .venv-3.12/installed-% .venv-3.13/installed-%: $(SOURCES)
	@echo "installing vrrplib[$*] into $(@D)"
	@test -x $(@D)/bin/pip || $(PYTHON) -m venv --clear $(@D) \
		|| { rm -rf $(@D); echo "$(PYTHON) cannot make virtual environments: on Debian, apt install python3-venv"; exit 1; }
	@$(@D)/bin/pip --disable-pip-version-check install --quiet --editable '.[$*]'
	@touch $@

clean:
	rm -rf .venv .venv-* .fuzz build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
