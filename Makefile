# The verbs. Each one makes what it needs first; `make demo` and `make test` work on a fresh machine.
PYTHON ?= python3
DATA ?= $(or $(ATTTRACK_DATA),../shared/data)
ARGS ?=
JOBS ?= 3
SIZE ?= 576x320

BIN := .venv/bin
RUN_READY := .venv/.ready-to-run
DEV_READY := .venv/.ready-to-develop
PIP := $(BIN)/python -m pip install -q --no-compile
# What is installed is compiled where it is first used; kept, or every process would compile it again.
unexport PYTHONDONTWRITEBYTECODE
EXPORT = $(BIN)/atttrack export onnx --size $(SIZE)
PAIR ?= open
# What the recipes name of the shipped data; of a folder that is given, all.
WHOLE = $(if $(filter command line environment,$(origin DATA)),--all)
CHAIN = $(BIN)/atttrack train training/recipes/$(PAIR)-$(1).toml --data $(DATA) --runs runs --processes 2 $(WHOLE)

# PyPI's torch for Linux brings gigabytes of CUDA libraries along; the tests need none of them.
TORCH ?= torch==2.13.0+cpu
TORCH_INDEX ?= https://download.pytorch.org/whl/cpu

LOCK = $(BIN)/uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
  --no-emit-index-url pyproject.toml requirements/build.in

# TensorRT's names are checked against these; its libraries are not needed for that.
TRT_BINDINGS ?= cu12-bindings==10.3.0 cu13-bindings==10.16.1.11 cu13-bindings==11.4.0.106

.DEFAULT_GOAL := help
.PHONY: help setup demo up serve test check pictures format lock bench accuracy image soak fuzz audit parts train gpu-check gpu-train clean

help: ## list the verbs
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-13s %s\n", $$1, $$2}'

setup: $(RUN_READY) ## make .venv with all that the CPU service needs

demo: $(RUN_READY) ## start the service on three drawn scenes: http://127.0.0.1:8000
	$(BIN)/atttrack serve --demo $(ARGS)

pictures: $(DEV_READY) ## make the page's pictures in docs/images anew; needs chromium
	$(BIN)/python -m tests.service.page.pictures docs/images $(ARGS)

up: ## start the containers for this machine: GPU, Jetson or CPU; ARGS="--build -d"
	@deploy/up.sh $(ARGS)

serve: $(RUN_READY) ## start the service; settings: ATTTRACK_* or ARGS="--port 8000"
	$(BIN)/atttrack serve $(ARGS)

test: $(DEV_READY) ## run the tests, three processes side by side (JOBS=0: in one); ARGS="tests/edge -k lane" for some
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(ARGS)

check: $(DEV_READY) ## lint, formatting, types and the walls between the packages
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(DEV_READY) ## format the code and fix what ruff can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lock: $(RUN_READY) ## pin what pyproject.toml allows: requirements/*.txt, with hashes, for every system and Python
	$(PIP) 'uv>=0.9'
	$(LOCK) --extra cpu --extra service --extra nats --output-file requirements/run.txt
	$(LOCK) --extra dev --override requirements/without-torch.in --output-file requirements/develop.txt

bench: $(DEV_READY) ## time what needs no data: association, and frames per second against K
	$(BIN)/atttrack bench association
	$(BIN)/atttrack bench fps

accuracy: $(DEV_READY) ## MOTA, IDF1 and HOTA of every mode on the second halves (DATA=folder)
	$(BIN)/atttrack bench accuracy --data $(DATA) $(ARGS)

image: $(DEV_READY) ## take the Dockerfile's steps in a clean environment, and run what comes out
	$(BIN)/python -m tests.deploy.image_steps $(ARGS)

fuzz: $(DEV_READY) ## ten minutes of mutated bytes and requests; ARGS="--seconds 30" for less, "--cameras 2000": real connections
	$(BIN)/python -m $(if $(findstring --cameras,$(ARGS)),testbed.mutated_cameras,testbed.fuzz) $(ARGS)

audit: $(RUN_READY) ## hold the pinned packages against known weaknesses on file (ARGS="--advisories FOLDER" for more)
	$(BIN)/python deploy/supply/audit.py requirements/run.txt requirements/develop.txt requirements/alone.txt $(ARGS)

parts: $(RUN_READY) ## list the parts of the image (CycloneDX) into parts.json
	$(BIN)/python deploy/supply/parts.py requirements/run.txt models > parts.json

soak: $(DEV_READY) ## ten minutes of a looping RTSP camera; ARGS="--hours 1": eight that come and go, subscribers, zones, a broker
	$(BIN)/atttrack bench soak $(ARGS)

train: $(DEV_READY) ## train and export a pair into runs/ (DATA=folder PAIR=open or mot; hours on a CPU; goes on where it stopped)
	$(call CHAIN,teacher)
	$(call CHAIN,student)
	$(call CHAIN,plain)
	$(EXPORT) --role teacher runs/$(PAIR)-teacher/weights.pt --output runs/models/$(PAIR)-teacher.onnx
	$(EXPORT) --role student runs/$(PAIR)-student/weights.pt --output runs/models/$(PAIR)-student.onnx
	$(EXPORT) --role student runs/$(PAIR)-plain/weights.pt --output runs/models/$(PAIR)-student-plain.onnx

gpu-check: ## on a machine with a GPU: is it right, how fast is it (OUT=folder)
	$(or $(wildcard $(BIN)/python),$(PYTHON)) -m benchmarks.gpu.check --output $(or $(OUT),runs/gpu-check) $(ARGS)

gpu-train: ## on a machine with a GPU: train, export, score (DATA=folder OUT=folder; goes on where it stopped)
	$(or $(wildcard $(BIN)/python),$(PYTHON)) -m benchmarks.gpu.train --data $(DATA) --output $(or $(OUT),runs/gpu-train) $(ARGS)

clean: ## remove .venv and caches
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache *.egg-info

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed, got: $$($(PYTHON) --version 2>&1). Try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv .venv || \
	  { rm -rf .venv; echo "python has no venv module. On Debian or Ubuntu: sudo apt install python3-venv"; exit 1; }

$(RUN_READY): pyproject.toml requirements/run.txt | $(BIN)/python
	@echo "setting up .venv: a minute or two, about 200 MB to fetch"
	$(PIP) --require-hashes -r requirements/run.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@touch $@

$(DEV_READY): pyproject.toml requirements/develop.txt requirements/alone.txt | $(BIN)/python
	@echo "setting up .venv for development: some minutes, about 600 MB to fetch"
	@$(PIP) '$(TORCH)' 2>/dev/null || \
	  $(PIP) '$(TORCH)' --extra-index-url $(TORCH_INDEX)
	$(PIP) --require-hashes -r requirements/develop.txt
	$(PIP) --require-hashes --no-deps -r requirements/alone.txt
	$(PIP) --no-deps --no-build-isolation -e .
	@for version in $(TRT_BINDINGS); do \
	  $(BIN)/python -m pip download -q --no-deps -d .trt-bindings tensorrt-$$version 2>/dev/null || \
	  echo "no tensorrt-$$version for this machine: the test of its names will be skipped"; done
	@touch $@ $(RUN_READY)
