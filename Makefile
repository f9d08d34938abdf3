# Byway. `make demo` and `make test` set up what they need in .venv; nothing else is typed.

PYTHON ?= python3.11
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/ready
FILE   ?= tests/data/byway.png
MARKERS ?=

.PHONY: demo test prove mutants deaths lint types contract reference timing bench bench-engines bench-live bench-translation clean help
.DEFAULT_GOAL := help

help:
	@echo "make demo [FILE=path]  send a file from a hosted partition to the wire; results in out/demo/"
	@echo "make test              lint, types, import rules, contract drift, every test"
	@echo "make prove             every property, proved without a bound; out/prove.json"
	@echo "make deaths            a thousand partitions and drivers that vanish in mid-transfer"
	@echo "make mutants           breaks the guard in over 100 ways: a proof or test sees each; out/mutants.json"
	@echo "make contract          regenerate what software uses of the contract"
	@echo "make reference         the register reference in HTML, in out/reference/"
	@echo "make timing            every RTL component alone on ECP5; figures in rtl/timing.json"
	@echo "make bench             what the adapter reaches beside what its wire allows; out/bench/bench.json"
	@echo "make bench-engines     how fast the engines are, side by side; figures in out/bench/"
	@echo "make bench-translation what translation costs, cold and warm, and among 256 requesters"
	@echo "make bench-live        live traffic on real kernels against its goals (needs root)"
	@echo "make clean             remove what was built, but for the environment"

$(READY): requirements.lock pyproject.toml sim/environment.sh
	@sh sim/environment.sh $(PYTHON) $(VENV)
	@touch $@

demo: $(READY)
	@$(BIN)/byway send $(FILE) --out out/demo

test: lint types $(READY)
	$(BIN)/python -m byway.rtl.contract.generate --check
	$(BIN)/pytest -n 2 --dist worksteal --ignore tests/formal

prove: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal -q tests/formal --proofs out/prove.json

deaths: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal -q tests/sim/test_death.py --deaths 250

mutants: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal -q tests/mutants --mutants 0 --mutants-table out/mutants.json

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports

types: $(READY)
	$(BIN)/basedpyright

contract: $(READY)
	$(BIN)/python -m byway.rtl.contract.generate

reference: $(READY)
	$(BIN)/python -m byway.rtl.contract.generate --check --html out/reference

bench: $(READY)
	@$(BIN)/byway bench

bench-engines: $(READY)
	@$(BIN)/python -m byway.sim.measure.engines

bench-translation: $(READY)
	@$(BIN)/python -m byway.sim.measure.translation

bench-live: $(READY)
	@$(BIN)/python -m byway.sim.measure.live

timing: $(READY)
	$(BIN)/python -m byway.rtl.timing

clean:
	rm -rf out build
