# make demo: set up and run the main job.  make test: set up and run the tests.  Both are quick the second time.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore $(BIN)/python -m pip install -q -c constraints.txt

# What other people's packages take part in, which `make test` skips where they are absent.
WITH_EXTRAS := peers packages plugins convert hf lm_eval onnx quantum quantum_libraries quantum_model gguf tokenizers cluster

.PHONY: demo test extras fuzz endurance lint readme docs gpu clean

demo: $(VENV)/.run
	$(BIN)/harness run --suite scaling --plugins phasefield,baseline --out results/demo

test: $(VENV)/.dev
	$(BIN)/python -m pytest -n 2 --dist loadfile

extras: $(VENV)/.extras
	$(BIN)/python -m pytest -n 2 --dist loadfile $(WITH_EXTRAS:%=tests/test_%.py)

# What is read back, spoiled in many ways: minutes instead of the seconds that `make test` gives it.
fuzz: $(VENV)/.dev
	FUZZ_EXAMPLES=20000 $(BIN)/python -m pytest tests/test_fuzz.py

# Runs of which one process is killed, a hundred times at random instants, each held to its promises: half an hour.
endurance: $(VENV)/.dev
	$(BIN)/python tests/endurance.py --kills 100 --seed 0

lint: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/mypy

readme: $(VENV)/.run
	$(BIN)/python -m tools.readme
	$(BIN)/python -m tools.commands

docs: $(VENV)/.docs
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# On a machine with an NVIDIA GPU and its own Python, torch and triton: nothing is installed. Elsewhere, exit code 3 of
# the tool, there is nothing to do.
gpu:
	@PYTHONPATH=. $(PYTHON) tools/gpu.py || test $$? -eq 3

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Python 3.11 or later is needed: make PYTHON=python3.12 …")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/.run: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[fast]'
	@touch $@

$(VENV)/.dev: $(BIN)/python pyproject.toml constraints.txt
	$(PIP) -e '.[fast,gpt2,ppmd,dev]'
	@touch $@ $(VENV)/.run

$(VENV)/.extras: $(VENV)/.dev
	$(PIP) -e '.[all,xlstm,titans,dev]'
	@touch $@

# The pages are built from their text alone: what the extra `docs` names, and neither torch nor the harness.
$(VENV)/.docs: $(BIN)/python pyproject.toml
	$(PIP) $$($(BIN)/python -c 'import tomllib; print(*tomllib.load(open("pyproject.toml", "rb"))["project"]["optional-dependencies"]["docs"])')
	@touch $@

clean:
	rm -rf $(VENV) build site *.egg-info results/demo
