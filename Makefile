# Everything runs from the virtual environment in .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
CONFIG ?= tune_configs/experiments/sample.yaml

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow lint bench-softdtw known-answer clean

help:            ## list the targets
	@grep -hE '^[a-z-]+: .*##|^[a-z-]+:  *##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 18

setup: $(READY)  ## make the virtual environment and install

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(None if (3, 11) <= v <= (3, 12) else f"Python 3.11 or 3.12 is needed, this is {v[0]}.{v[1]}; try: make PYTHON=python3.11 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -c constraints.txt -e ".[sample,onnx,test]"
	$(BIN)/python -c 'import cv2' || { echo 'OpenCV needs two system libraries. On Debian or Ubuntu: sudo apt-get install -y libgl1 libglib2.0-0'; exit 1; }
	touch $@

demo: $(READY)   ## set up, make the sample corpora, run every stage on them
	$(BIN)/agser sample -c $(CONFIG)
	$(BIN)/agser run -c $(CONFIG)

test: $(READY)   ## set up and pass the tests
	$(BIN)/python -m pytest -q -m "not slow"

test-slow: $(READY)  ## chaos, soak, scale and long accuracy checks
	$(BIN)/python -m pytest -q -m slow

lint: $(READY)   ## check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

bench-softdtw: $(READY)  ## soft-DTW beside its peers
	$(BIN)/python -m benchmarks.softdtw

known-answer: $(READY)  ## anchored training on planted corpora
	$(BIN)/python -m benchmarks.known_answer

clean:           ## remove outputs, not the environment
	rm -rf runs data/sample
