# Two commands: `make bench` shows the main job, `make test` checks everything.
LIMIT ?= 100
BIN := .venv/bin
export HIL_LABGRID_CLIENT ?= $(CURDIR)/.venv/labgrid/bin/labgrid-client

.PHONY: bench test lint soak clean

bench: .venv/.bench                 ## the main job on a quick subset of both models, both precisions
	$(BIN)/hil doctor --install --board native --board mps2
	$(BIN)/hil bench --limit $(LIMIT)

test: .venv/.dev .venv/labgrid/.made lint   ## lint, types, layers, tests, firmware builds, QEMU, a lab
	$(BIN)/python -m pytest -n 2 -m "not slow and not lab and not hil"
	$(BIN)/python -m pytest -m lab
	$(BIN)/python -m pytest -m hil --hil-board native
	$(BIN)/python -m pytest -m hil --hil-board mps2
	$(BIN)/python -m pytest -m hil --hil-board rv32
	$(BIN)/python -m pytest -m hil --hil-board mega2560

lint: .venv/.dev
	$(BIN)/hil doctor --install --lab --tests
	$(BIN)/pre-commit run --all-files --show-diff-on-failure

soak: .venv/.dev                    ## the long ones: whole test sets, thousands of random networks
	$(BIN)/python -m pytest -n 2 -m slow

.venv/.bench: pyproject.toml $(wildcard locks/*.txt)
	tools/venv.sh emulator
	@touch $@

.venv/.dev: pyproject.toml $(wildcard locks/*.txt)
	tools/venv.sh dev,emulator,train,sweep,bakenn
	@touch $@ .venv/.bench

# labgrid brings a pyserial of its own: an environment of its own
.venv/labgrid/.made: .venv/.dev locks/labgrid.txt
	python3 -m venv .venv/labgrid
	.venv/labgrid/bin/python -m pip install -q --disable-pip-version-check \
		--require-hashes --only-binary :all: -r locks/labgrid.txt
	@touch $@

clean:
	rm -rf .venv .pio .pio-core
