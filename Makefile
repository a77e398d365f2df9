# Every target works on a fresh clone: each first makes the environment, once.
VENV ?= .venv
PYTHON ?= python3
SEEDS ?= 20-22
KILLS ?= 50
PORT ?= 8000
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
NOTEBOOKS := train add_block summary story_gradients story_shortcut story_depth story_highway story_open claims block fig2 pictures reproduction speed highway containment data_size gates multiplication gradients shortcut depth objections
# Hooks find their tools in the environment. One that mends a file fails; run again, it passes.
HOOKS := PATH="$$(cd $(BIN) && pwd):$$PATH" pre-commit run

.PHONY: help setup reproduce book pdf serve test quick lint records highway depth measurements notebooks benchmark killing clean
.DEFAULT_GOAL := help

help:  ## show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 20

setup: $(INSTALLED)  ## make the virtual environment (VENV=.venv) with exact pins

$(INSTALLED): constraints.txt pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[book,dev,tensorboard]'
	@touch $@

reproduce: setup  ## train Fig. 2 afresh (SEEDS=20-22), render the book from it, report
	@$(BIN)/resnet-study reproduce --seeds $(SEEDS)

book: setup  ## render the committed notebooks into _build/html, without training
	@$(BIN)/jupyter-book build -n -W --keep-going -q .
	@echo "the book: _build/html/index.html"

pdf: book  ## print story, evidence and library into _build; needs Chromium or Chrome
	@PYTHONPATH=book/_ext $(BIN)/python book/printing.py

serve: setup  ## show the rendered book at http://localhost:8000 (PORT=8000)
	@test -f _build/html/index.html || { echo "there is no book yet: make book" >&2; exit 1; }
	$(BIN)/python -m http.server --bind localhost --directory _build/html $(PORT)

test: setup  ## prove the repository sound
	@$(BIN)/python -m pytest -n 2 --dist loadscope

quick: setup  ## the tests that take seconds, within a minute
	@$(BIN)/python -m pytest -q -n 2 --dist loadscope -m "not slow"

lint: setup  ## check style, and mend what can be mended (.pre-commit-config.yaml)
	@$(HOOKS) --all-files

records: setup  ## train what is missing of the committed records (data/runs)
	@$(BIN)/resnet-study run --experiment fig2 --device cpu

highway: setup  ## train what is missing of the Highway experiments, the full grid: hours
	@for grid in 'highway digits' 'containment digits' 'data-size digits' \
	  'highway tiny-imagenet-20' 'data-size tiny-imagenet-20'; do set -- $$grid; \
	  $(BIN)/resnet-study run --experiment $$1 --recipe $$2 --device cpu || exit 1; done

depth: setup  ## train what is missing of the experiments on depth and on objections: an hour
	@for grid in 'depth digits' 'thousand-layers digits-narrow' 'objections digits'; do \
	  set -- $$grid; \
	  $(BIN)/resnet-study run --experiment $$1 --recipe $$2 --device cpu || exit 1; done

measurements: setup  ## look inside networks where that is not recorded (data/measurements)
	@$(BIN)/resnet-study measure

notebooks: setup  ## execute the committed notebooks again, from the committed records
	@$(HOOKS) --files notebooks/* >/dev/null || $(HOOKS) --files notebooks/*
	@for name in $(NOTEBOOKS); do \
	  $(BIN)/resnet-study execute notebooks/$$name.ipynb _build/executed/$$name.ipynb \
	    --log data/executions.json && \
	  mv _build/executed/$$name.ipynb notebooks/ || exit 1; done
	@$(BIN)/python book/readme.py
	@$(HOOKS) --files notebooks/* >/dev/null || $(HOOKS) --files notebooks/*

benchmark: setup  ## compare the training loop with stock ones (DATA_DIR=: on pictures too)
	@$(BIN)/python benchmarks/training_loop.py --recipe digits --rounds 30
ifdef DATA_DIR
	@$(BIN)/python benchmarks/training_loop.py --recipe tiny-imagenet-20 --data-dir '$(DATA_DIR)'
endif

killing: setup  ## kill a training 50 times (KILLS=50), also while it saves; compare to the bit
	@$(BIN)/python tests/killing.py $(KILLS)

clean:  ## remove what was rendered or reproduced, not the environment
	rm -rf _build
