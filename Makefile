# Two commands: `make bench` runs the main job, `make test` checks everything.
# `make check` is the inner loop: lint, types, and the quick tests.
LIMIT ?= 100
BIN := .venv/bin
export HIL_LABGRID_CLIENT ?= $(CURDIR)/.venv/labgrid/bin/labgrid-client

# `pytest -m hil` runs on each of these
BOARDS := native mps2 rv32 lx106 mega2560
BOARDS += cortex-m0 cortex-m3 cortex-m4 cortex-m33 cortex-m55 rp2040 rv32f
BOARD_TESTS := $(BOARDS:%=test-%)

.PHONY: bench check test tools lint docs lab $(BOARD_TESTS) soak clean

bench: .venv/.bench                 ## the main job on a few digits: both models, both precisions
	$(BIN)/hil doctor --install --board native --board mps2
	$(BIN)/hil bench --limit $(LIMIT)

check: tools                        ## the inner loop, without tests that take seconds each
	$(BIN)/pre-commit run --all-files --show-diff-on-failure
	$(BIN)/python -m pytest -n 2 --dist worksteal -q \
		-m "not thorough and not firmware and not train and not lab and not hil and not slow"

# Jobs that wait or use one core run two at a time; then pytest uses both cores.
test: .venv/.dev                    ## lint, types, layers, tests, firmware builds, emulators, a lab
	$(MAKE) --no-print-directory -j 2 --output-sync=target tools .venv/labgrid/.made .venv/esptool/.made
	$(MAKE) --no-print-directory -j 2 --output-sync=target lint $(BOARD_TESTS) lab
	$(BIN)/python -m pytest -n 2 --dist worksteal -m "not slow and not lab and not hil"

tools: .venv/.dev                   ## installs missing compilers, emulators, fonts and a browser
	$(BIN)/hil doctor --install --lab --tests

docs: .venv/.dev                    ## the documentation site, in site/
	$(BIN)/python -m tools.site

lint: .venv/.dev
	$(BIN)/pre-commit run --all-files --show-diff-on-failure

$(BOARD_TESTS): test-%: .venv/.dev
	$(BIN)/python -m pytest hil/board_tests -m hil --timeout 1200 --hil-board $*

lab: .venv/labgrid/.made
	$(BIN)/python -m pytest -m lab

soak: .venv/.dev .venv/esptool/.made   ## long tests: whole test sets, thousands of random networks
	$(BIN)/python -m pytest -n 2 -m slow

.venv/.bench: pyproject.toml $(wildcard locks/*.txt)
	tools/venv.sh emulator
	@touch $@

.venv/.dev: pyproject.toml $(wildcard locks/*.txt)
	tools/venv.sh dev,docs,emulator,train,sweep,bakenn
	@touch $@ .venv/.bench

# labgrid needs its own pyserial, so it gets its own environment
.venv/labgrid/.made: .venv/.dev locks/labgrid.txt
	python3 -m venv .venv/labgrid
	.venv/labgrid/bin/python -m pip install -q --disable-pip-version-check \
		--require-hashes --only-binary :all: -r locks/labgrid.txt
	@touch $@

# the esptool versions of PlatformIO's and pioarduino's platforms, each in its own folder
.venv/esptool/.made: .venv/.dev locks/esptool4.txt locks/esptool5.txt
	for major in 4 5; do \
		$(BIN)/python -m pip install -q --disable-pip-version-check --upgrade \
			--target .venv/esptool/$$major --require-hashes --no-build-isolation \
			--only-binary :all: --no-binary esptool -r locks/esptool$$major.txt || exit 2; \
	done
	@touch $@

clean:
	rm -rf .venv .pio .pio-core site
