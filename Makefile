# Each target makes the virtual environment it needs; only Python 3.11 (or newer) and pip are taken
# as given. PYTHON and VENV may be set: make test PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
SOURCES = pyproject.toml constraints.txt

.PHONY: demo test check bench clean

demo: $(VENV)/core
	$(BIN)/emovox info
	$(BIN)/emovox predict examples

test: $(VENV)/full
	$(BIN)/python -m pytest $(ARGS)

check: $(VENV)/full
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/full
	$(PIP) -c constraints.txt opensmile || echo "opensmile cannot be installed here; its rows are left out"
	for benchmark in features startup latency training protocols live; do $(BIN)/python benchmarks/$$benchmark.py || exit 1; done

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/core: $(SOURCES) | $(VENV)/bin/python
	$(PIP) -c constraints.txt -e .
	touch $@

$(VENV)/full: $(SOURCES) | $(VENV)/bin/python
	$(PIP) 'pip>=25.1' # the first that reads dependency groups
	$(PIP) -c constraints.txt -e '.[train,live,serve,archive]' --group dev
	touch $@ $(VENV)/core

clean:
	rm -rf $(VENV) build dist src/*.egg-info
