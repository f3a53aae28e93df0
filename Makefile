# Two commands do everything on a fresh machine with Python 3.11 and make: `make demo` and `make test`.
PYTHON ?= python3
VENV ?= .venv
DEMO_VENV ?= .venv-demo
BUILD := build
WORKERS ?= logical

BIN := $(VENV)/bin
DEMO := $(DEMO_VENV)/bin/phi3v-data
PIP_INSTALL := -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo demo-train test check bench schemas smoke install clean

demo:  ## a made-up sample of videos -> dataset -> validated -> a page to look at
	$(PYTHON) -m venv $(DEMO_VENV)
	$(DEMO_VENV)/bin/python $(PIP_INSTALL) ".[video]"
	rm -rf $(BUILD)/demo
	$(DEMO) sample ucf101 $(BUILD)/demo/raw
	$(DEMO) convert ucf101 --source $(BUILD)/demo/raw --out_dir $(BUILD)/demo/dataset
	$(DEMO) validate $(BUILD)/demo/dataset
	$(DEMO) stats $(BUILD)/demo/dataset
	$(DEMO) preview $(BUILD)/demo/dataset --out $(BUILD)/demo/preview.html
	@echo "Open $(BUILD)/demo/preview.html in a browser, then look at $(BUILD)/demo/dataset/ucf101_train.jsonl."

demo-train: install  ## the same videos -> dataset -> a tiny model that learns them, before and after; some minutes
	rm -rf $(BUILD)/demo-train
	mkdir -p $(BUILD)/demo-train
	cd $(BUILD)/demo-train && PATH="$(abspath $(BIN)):$$PATH" sh -e $(abspath benchmarks/demo_train.sh)

install:
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python $(PIP_INSTALL) --editable ".[test]"

test: install  ## the whole suite
	OMP_NUM_THREADS=1 $(BIN)/pytest -n $(WORKERS)

check: install  ## what CI checks besides the tests
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

schemas: install  ## write the generated files anew: JSON Schemas, docs/findings.md
	$(BIN)/python -m phi3v_schemas.jsonschema
	$(BIN)/python -m phi3v_data.validate.explain

smoke: install  ## the built wheel, installed alone, runs the main job
	rm -rf $(BUILD)/wheel $(BUILD)/wheel-venv
	$(BIN)/python -m build --wheel --outdir $(BUILD)/wheel .
	$(PYTHON) -m venv $(BUILD)/wheel-venv
	$(BUILD)/wheel-venv/bin/python $(PIP_INSTALL) "$$(echo $(BUILD)/wheel/*.whl)[video]" pytest
	cd $(BUILD) && PHI3V_WHEEL=1 wheel-venv/bin/pytest -o pythonpath= ../tests/test_smoke.py

bench: install  ## CLIPS="a.avi b.mp4" make bench
	$(BIN)/python benchmarks/convert.py --clips $(CLIPS)

clean:
	rm -rf $(BUILD) $(VENV) $(DEMO_VENV)
