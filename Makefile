# skfm: `make` alone says what there is to make.

PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

# What of pip's talk is shown: each package, and every download that takes a while.
NEWS := '^Collecting [^ ]+|Downloading .*[0-9]{2}\.[0-9] MB|^Installing collected|^Success.*led'

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help setup study lint test fuzz lab book weights clean

# Of the model that comes with the library; `make weights STEPS_OURS=9000` has others.
WEIGHTS_RUN ?= weights
STEPS_VQVAE ?= 1600
STEPS_OURS ?= 4200

help:
	@echo "make study   set up, run the core of the study on the embedded data, build the book"
	@echo "make lint    set up, check style, imports, types and wording"
	@echo "make test    set up, run every test"
	@echo "make fuzz    set up, read 2,425 damaged scans (\`make test\` takes a sample)"
	@echo "make lab     set up, open the notebooks in JupyterLab"
	@echo "make book    set up, build the book from the latest run"
	@echo "make weights set up, train the model that comes with the library, hours"
	@echo "make setup   set up only: .venv with the pinned packages"
	@echo "make clean   remove .venv and the built book; runs/ is kept"
	@echo
	@echo "Another interpreter: make study PYTHON=python3.12"

study: setup
	$(BIN)/skfm study
	$(BIN)/skfm book

# Style; the order of the rooms; types; the words of tests/test_wording.py.
lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-logo
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_wording.py

# Two processes of one thread each are faster than one of two; tests/conftest.py has the
# order of the files.
test: setup
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist loadfile \
	  --no-loadscope-reorder

fuzz: setup
	SKFM_FUZZ=2425 $(BIN)/python -m pytest -q -s tests/fuzz

lab: setup
	$(BIN)/jupyter lab --notebook-dir=.

book: setup
	$(BIN)/skfm book

# Finished stages are kept: an interrupted call resumes.
weights: setup
	$(BIN)/skfm run 01 --run $(WEIGHTS_RUN)
	$(BIN)/skfm run 02 --run $(WEIGHTS_RUN) -p steps $(STEPS_VQVAE)
	$(BIN)/skfm run 17 --run $(WEIGHTS_RUN) -p steps $(STEPS_OURS)
	$(BIN)/skfm run 08 09 --run $(WEIGHTS_RUN)
	$(BIN)/skfm pack --run $(WEIGHTS_RUN)
	$(BIN)/python -m skfm_lib.reference_model.privacy --run $(WEIGHTS_RUN)
	$(BIN)/python -m skfm_lib.reference_model.few_steps --out runs/$(WEIGHTS_RUN)/few_steps

setup: .venv/.ready

# The stamp is made last: a set-up that was interrupted is done again.  pip's own
# cache makes the second time fast.
.venv/.ready: pyproject.toml constraints.txt
	@command -v $(PYTHON) >/dev/null || { \
	  echo "skfm: no $(PYTHON) on this machine; expected Python 3.10 or newer;" \
	    "next: make $(MAKECMDGOALS) PYTHON=/path/to/python" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	  echo "skfm: $$($(PYTHON) --version) is too old; expected Python 3.10 or newer;" \
	    "next: make $(MAKECMDGOALS) PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	  echo "skfm: $(PYTHON) cannot make environments; expected its venv module;" \
	    "next: install it (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Setting up .venv: some 190 packages, once; this takes a few minutes."
	@$(PYTHON) -m venv .venv
	@rm -f .venv/.failed; \
	{ $(PIP) install --progress-bar off -c constraints.txt -e ".[test]" \
	  || touch .venv/.failed; } | grep -oE --line-buffered $(NEWS); \
	test ! -e .venv/.failed || { \
	  echo "skfm: the packages could not be installed, pip says why above;" \
	    "next: check the network and the package index, then the same again" >&2; \
	  exit 1; }
	@touch $@

clean:
	rm -rf .venv _build
