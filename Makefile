# Everything runs from the virtual environment in .venv, which the first target that needs it makes.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
READY  := $(VENV)/.ready
CONFIG ?= tune_configs/experiments/sample.yaml
# Of a cluster: its launcher file, its job server, what to submit, further settings and options of the submission.
CLUSTER ?= cluster.yaml
ADDRESS ?= http://127.0.0.1:8265
STAGE   ?= run
SET     ?=
OPTIONS ?=
JOB     ?= $(shell cat .last-job 2>/dev/null)
VERSION := $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' agser_core/__init__.py)
# Ray 2.60 starts clusters with a token and talks to them without one where this is not set.
export RAY_AUTH_MODE ?= token

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-slow lint bench-softdtw bench-extract bench-train bench-scale bench-tune bench-real-audio known-answer clean \
        image push-image cluster-up cluster-down dashboard submit logs stop-job jobs

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

# aeon needs another numpy than the project, so its environment is its own; where it can't be made, its figure is missing.
bench-softdtw: $(READY)  ## soft-DTW beside its peers
	@.venv-aeon/bin/python -c 'import aeon' 2>/dev/null || { $(PYTHON) -m venv .venv-aeon && .venv-aeon/bin/python -m pip install -q --disable-pip-version-check aeon==1.6.0; } || true
	AGSER_AEON_PYTHON=$${AGSER_AEON_PYTHON:-.venv-aeon/bin/python} $(BIN)/python -m benchmarks.softdtw

bench-train: $(READY)  ## training with Ray Train beside a plain loop, and the sample's whole matrix
	$(BIN)/python -m benchmarks.train

# dlib is no dependency of the project; where its environment can't be made, its figure is missing.
bench-extract: $(READY)  ## extraction beside a plain loop and its peers
	@.venv-dlib/bin/python -c 'import dlib, av' 2>/dev/null || { $(PYTHON) -m venv .venv-dlib && .venv-dlib/bin/python -m pip install -q --disable-pip-version-check dlib-bin==20.0.1.post1 av numpy && .venv-dlib/bin/python -m pip install -q --disable-pip-version-check --no-deps face_recognition_models==0.3.0; } || true
	AGSER_DLIB_PYTHON=$${AGSER_DLIB_PYTHON:-.venv-dlib/bin/python} $(BIN)/python -m benchmarks.extract

bench-scale: $(READY)  ## the driver with up to 10^6 clips, and what a second worker brings
	$(BIN)/python -m benchmarks.scale simulate
	$(BIN)/python -m benchmarks.scale workers

bench-tune: $(READY)  ## the search of settings beside its peers, on the sample
	$(BIN)/agser sample -c $(CONFIG)
	$(BIN)/agser extract -c $(CONFIG)
	$(BIN)/agser cluster -c $(CONFIG)
	$(BIN)/python -m benchmarks.tune tune_configs/sample.yaml 'seeds=[0]' 'directions=[alder->birch]'

# opensmile is free for research only, so it is no dependency: its environment is its own.
bench-real-audio: $(READY)  ## RAVDESS=... EMODB=...: every method on real speech beside the classic SVM
	@.venv-opensmile/bin/python -c 'import opensmile' 2>/dev/null || { $(PYTHON) -m venv .venv-opensmile && .venv-opensmile/bin/python -m pip install -q --disable-pip-version-check opensmile==2.6.0; }
	AGSER_OPENSMILE_PYTHON=$${AGSER_OPENSMILE_PYTHON:-.venv-opensmile/bin/python} $(BIN)/python -m benchmarks.real_audio --ravdess $(RAVDESS) --emodb $(EMODB)

known-answer: $(READY)  ## anchored training on planted corpora
	$(BIN)/python -m benchmarks.known_answer

image:           ## build the image that the cluster's nodes run
	docker build --platform linux/amd64 -t agser:$(VERSION) .

push-image:      ## put the image into the AWS account's registry
	registry=$$(aws sts get-caller-identity --query Account --output text).dkr.ecr.us-west-2.amazonaws.com && \
	aws ecr get-login-password --region us-west-2 | docker login --username AWS --password-stdin $$registry && \
	docker tag agser:$(VERSION) $$registry/agser:$(VERSION) && docker push $$registry/agser:$(VERSION)

cluster-up: $(READY)  ## start the cluster of CLUSTER=cluster.yaml
	$(BIN)/ray get-auth-token --generate > /dev/null
	$(BIN)/ray up -y $(CLUSTER)

cluster-down: $(READY)  ## end it, with all its nodes
	$(BIN)/ray down -y $(CLUSTER)

dashboard: $(READY)  ## open the way to its dashboard and job server; leave it running
	$(BIN)/ray dashboard $(CLUSTER)

submit: $(READY) ## run STAGE=run on CONFIG=... as a job of the cluster; SET="key=value", OPTIONS=--no-wait
	$(BIN)/python -m pipelines.submit $(STAGE) -c $(CONFIG) --address $(ADDRESS) $(OPTIONS) $(SET)

logs: $(READY)   ## follow what JOB=(the last one) says
	$(BIN)/ray job logs --address $(ADDRESS) --follow $(JOB)

stop-job: $(READY)  ## stop JOB=(the last one); submitting it again resumes
	$(BIN)/ray job stop --address $(ADDRESS) $(JOB)

jobs: $(READY)   ## list the cluster's jobs
	$(BIN)/ray job list --address $(ADDRESS)

clean:           ## remove outputs, not the environment
	rm -rf runs data/sample
