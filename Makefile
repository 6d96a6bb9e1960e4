# Every target is idempotent; a second run starts at once.
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13; do $$p -c 'import venv' >/dev/null 2>&1 && { echo $$p; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
BENCH := $(VENV)/.rivals
JOBS ?= 2
# each process has a core: with more threads of its own torch would wait for the other's
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

WHEELS := data/wheels/.brought

.PHONY: demo venv test test-all lint bench gpu data stubs docs notebooks constraints clean

demo: $(STAMP)
	$(BIN)/gpuquant demo

venv: $(STAMP)

$(STAMP): setup.cfg pyproject.toml constraints/tested.txt
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed: make PYTHON=/path/to/python3.12 ..."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade-strategy only-if-needed --constraint constraints/tested.txt --editable '.[all]'
	@touch $@

test: lint $(WHEELS)
	$(PYTEST) -m "not slow and not gpu"

test-all: lint $(WHEELS)
	$(PYTEST) -m "not gpu"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

$(BENCH): $(STAMP) benchmarks/requirements.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints/tested.txt --requirement benchmarks/requirements.txt
	@touch $@

bench: $(BENCH)
	$(BIN)/python -m benchmarks

# How a GPU machine runs us: the system's own Python and packages, no internet.
gpu:
	PYTHONPATH=. python3 -m pytest -m "gpu" -p no:cacheprovider
	PYTHONPATH=. python3 -m benchmarks --gpu

# Prices of the reference back-tests, read out of the wheels that carry them: nothing of these packages is installed or run.
$(WHEELS): $(STAMP)
	mkdir -p data/wheels
	$(BIN)/python -m pip download --quiet --disable-pip-version-check --no-deps --dest data/wheels backtesting==0.6.6 arch==8.0.0 && touch $@ || echo "no wheels: the reference back-tests on their prices are skipped"

# The prices, for a machine without the package that ships them.
data: $(STAMP)
	$(BIN)/python -c "from pathlib import Path; from gpuquant import data; Path('data').mkdir(exist_ok=True); data.us20().to_parquet('data/us20.parquet')"

stubs: $(STAMP)
	$(BIN)/python -m gpuquant.family

docs: $(STAMP)
	$(BIN)/python -m docs.tables
	$(BIN)/python -m docs.picture

# Run the notebooks and store them with their outputs.
notebooks: $(STAMP)
	$(BIN)/python -m docs.notebooks

constraints: $(STAMP)
	{ echo '# The whole tested set; `make venv` installs with it and `make constraints` writes it anew.'; $(BIN)/python -m pip freeze --exclude-editable | sed 's/+cpu$$//'; } > constraints/new.txt && mv constraints/new.txt constraints/tested.txt

clean:
	rm -rf $(VENV) out build *.egg-info .pytest_cache .mypy_cache .ruff_cache
