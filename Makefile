# make run · make ask Q="…" · make test · make check · make eval · make leaks · make train-answerer · make train-embedder · make train-thesaurus
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
DOCS ?= seeds
PORT ?= 7860
DATA ?= data
export Q

.PHONY: run ask index test check eval leaks browser train-answerer train-embedder train-thesaurus calibrate clean

run: $(VENV)/.ready
	@$(VENV)/bin/python app.py --docs "$(DOCS)" --port $(PORT)

ask: $(VENV)/.ready
	@$(VENV)/bin/python -m qa ask "$$Q" --docs "$(DOCS)"

index: $(VENV)/.ready
	@$(VENV)/bin/python -m index "$(DOCS)"

test: check browser
	$(VENV)/bin/python -m pytest

check: $(VENV)/.ready-dev
	$(VENV)/bin/ruff check .
	$(VENV)/bin/mypy
	$(VENV)/bin/python -m train.leaks $(if $(wildcard $(DATA)/text),--data "$(DATA)")

eval: $(VENV)/.ready
	$(VENV)/bin/python -m eval run --docs "$(DOCS)"

# Does anything that training reads hold gold or benchmark material? `make check` asks too, of the data that is there.
leaks: $(VENV)/.ready-dev
	$(VENV)/bin/python -m train.leaks --data "$(DATA)"

# From data to weights; DATA names the folder with train/, pairs/ and text/ (see train/LOG.md). RUNS keeps checkpoints: the same
# command goes on from them. A GPU is used where there is one, libtcmalloc where it is installed.
TRAIN = LD_PRELOAD="$(wildcard /usr/lib/*/libtcmalloc_minimal.so.4)" $(VENV)/bin/python -m
RUNS ?= runs

# From MiniLM's body; the shipped weights took this time in legs (train/LOG.md, A1 to A13).
train-answerer: $(VENV)/.ready-dev
	test -f $(RUNS)/words/vectors.npy || $(TRAIN) train.words --data "$(DATA)" --out $(RUNS)/words
	$(TRAIN) train.answerer --data "$(DATA)" --out models/answerer --run $(RUNS)/answerer --words $(RUNS)/words --minutes 400 --asked 1.6 --lengths 192:0.5,288:0.9,384:1
	$(TRAIN) train.followup
	$(MAKE) calibrate

train-embedder: $(VENV)/.ready-dev
	$(TRAIN) train.embedder --data "$(DATA)" --out models/embedder --run $(RUNS)/embedder --minutes 14
	$(MAKE) calibrate

# From train/thesaurus.txt to models/thesaurus.json; the answerer reads its marks, so train that after it.
train-thesaurus: $(VENV)/.ready-dev
	$(TRAIN) train.thesaurus --data "$(DATA)"

calibrate: $(VENV)/.ready-dev
	$(TRAIN) train.calibrate --data "$(DATA)" --answerer models/answerer --embedder models/embedder

clean:
	rm -rf .judian .pytest_cache .ruff_cache .mypy_cache .hypothesis

$(VENV)/.ready: requirements.txt
	@bash setup.sh requirements.txt $@ "$(PYTHON)"

$(VENV)/.ready-dev: requirements-dev.txt requirements.txt
	@bash setup.sh requirements-dev.txt $@ "$(PYTHON)"
	@touch $(VENV)/.ready

# The tests drive a real browser; where none can be installed they are skipped and say so.
browser:
	@bash setup.sh --browser
