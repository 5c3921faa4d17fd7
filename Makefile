# Each target makes the virtual environment it needs; only Python 3.11 (or newer) and pip are taken
# as given. PYTHON and VENV may be set: make test PYTHON=python3.12
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP = $(BIN)/python -m pip install --quiet --disable-pip-version-check
SOURCES = pyproject.toml constraints.txt
LOCK = $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
	--custom-compile-command "make lock" --constraints constraints.txt --group build pyproject.toml
# What torch brings on Linux for graphics cards; emovox computes on the processor.
CUDA = cuda-bindings cuda-toolkit nvidia-cudnn-cu13 nvidia-cusparselt-cu13 nvidia-nccl-cu13 \
	nvidia-nvshmem-cu13 triton

# Extras that may be locked together. Not pipecat: it pins older versions of what emovox is tested with.
EXTRAS = report train live transcripts serve journal client opus archive livekit mcp sklearn

.PHONY: demo test test-core test-agents check bench lock image-check pictures release site clean

demo: $(VENV)/core
	$(BIN)/emovox info
	$(BIN)/emovox predict examples

# More processes than cores, since many tests wait for a server, a browser or live sound; a file
# stays in one process, so that what its tests share is made once. For one process: ARGS="-n 0".
test: $(VENV)/full
	$(BIN)/python -m pytest -n 3 --dist loadfile $(ARGS)

# torch has as many threads as there are cores. Where processes compete for these, threads that
# wait for each other have to sleep: by default they spin, and training takes ten times as long.
test test-core: export OMP_WAIT_POLICY = PASSIVE

# What runs without the extras: no torch, no browser, no sound server. 34 s on two
# cores that do nothing else.
test-core: $(VENV)/core-only/tests
	$(VENV)/core-only/bin/python -m pytest -n 2 -m "not corpora" $(ARGS)

# Voice agents and MCP, in an environment of their own: Pipecat pins versions of protobuf, soundfile
# and soxr, so the constraints are left out. The calls are in real time.
test-agents: $(VENV)/agents/tests
	$(VENV)/agents/bin/python -m pytest -n 2 --dist loadfile tests/test_caller.py tests/test_agents.py \
		tests/test_mcp.py $(ARGS)

check: $(VENV)/full
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/full
	$(PIP) -c constraints.txt opensmile || echo "opensmile cannot be installed here; its rows are left out"
	for benchmark in features startup latency training protocols live; do $(BIN)/python benchmarks/$$benchmark.py || exit 1; done

lock: $(VENV)/bin/python
	$(PIP) -c constraints.txt uv
	printf '%s\n' $(CUDA) > $(VENV)/left-out.txt
	$(LOCK) --output-file requirements.lock
	$(LOCK) --output-file requirements-serve.lock --extra serve
	$(LOCK) --output-file requirements-full.lock $(EXTRAS:%=--extra %) --excludes $(VENV)/left-out.txt \
		--no-emit-package torch

# The documentation site, in build/site; a warning is an error.
site: $(VENV)/full
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --quiet

# The pictures of the README and the documentation; those of the page need Chromium.
pictures: $(VENV)/full
	for script in docs/images/make*.py; do $(BIN)/python $$script || exit 1; done

# Builds and checks what a release would publish; publishes nothing.
release: $(VENV)/full
	$(BIN)/python deploy/release.py --out build/release

# The Dockerfile's steps without Docker; as root, on Debian.
image-check:
	$(PYTHON) deploy/rehearse.py --work build/image

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/core: $(SOURCES) | $(VENV)/bin/python
	$(PIP) -c constraints.txt -e .
	touch $@

$(VENV)/core-only/tests: $(SOURCES)
	$(PYTHON) -m venv $(VENV)/core-only
	$(VENV)/core-only/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(VENV)/core-only/bin/python -m pip install --quiet --disable-pip-version-check \
		-c constraints.txt -e . --group test
	touch $@

$(VENV)/agents/tests: $(SOURCES)
	$(PYTHON) -m venv $(VENV)/agents
	$(VENV)/agents/bin/python -m pip install --quiet --disable-pip-version-check 'pip>=25.1'
	$(VENV)/agents/bin/python -m pip install --quiet --disable-pip-version-check \
		-e '.[pipecat,livekit,mcp,serve]' --group test
	touch $@

$(VENV)/full: $(SOURCES) | $(VENV)/bin/python
	$(PIP) 'pip>=25.1' # the first that reads dependency groups
	$(PIP) -c constraints.txt -e '.[train,live,serve,archive,opus,mcp]' --group dev
	touch $@ $(VENV)/core

clean:
	rm -rf $(VENV) build dist src/*.egg-info
