# make book · make html · make test · make check · make notebooks · make lock · make clean      (PYTHON=python3.12 chooses)

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
VERSION := $(shell $(PYTHON) -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# The stamp carries the version, so that another PYTHON gets an environment of its own kind.
INSTALLED := $(VENV)/.installed-$(VERSION)
# Every warning is an error, and every page is built anew: a second build after a failed one would hide its warnings.
BUILD_BOOK := $(BIN)/jupyter-book build --all -W --keep-going -n --path-output .
# Two processes with one thread each, a file in one of them; conftest.py says in which order.
WORKERS ?= 2
TEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help book html test check notebooks lock clean
.DEFAULT_GOAL := help

help:
	@echo "make book       run every notebook on this machine, then build the book: _build/html/index.html"
	@echo "make html       build the book from the outputs that are stored in the notebooks"
	@echo "make test       run all tests, the notebooks among them"
	@echo "make check      run the tests that take little time, in about two minutes"
	@echo "make notebooks  train anew and refresh the stored outputs of notebooks where they are stale (ALL=1: of every one)"
	@echo "make lock       pin in constraints.txt what requirements.txt needs, for Python 3.11 to 3.13 (UPGRADE=1: the newest)"
	@echo "make clean      remove what was built; runs/ and .venv stay"

book: $(INSTALLED)
	$(BIN)/python book/build.py overlay
	$(BUILD_BOOK) _build/overlay

html: $(INSTALLED)
	$(BUILD_BOOK) .

test: $(INSTALLED)
	$(TEST)

check: $(INSTALLED)
	$(TEST) -m "not slow and not book and not browser"

notebooks: $(INSTALLED)
	$(BIN)/python book/build.py refresh $(if $(filter-out 0,$(ALL)),all)

# Without the rest of the environment, which may not install until the lock is mended.
lock:
	@test -x $(BIN)/uv || { $(PYTHON) -m venv $(VENV) && $(BIN)/python -m pip install --quiet -c constraints.txt uv; }
	$(BIN)/uv pip compile requirements.txt --universal --python-version 3.11 --quiet $(if $(filter-out 0,$(UPGRADE)),--upgrade) \
		--no-header --no-annotate --no-emit-index-url --output-file constraints.txt

clean:
	rm -rf _build

$(INSTALLED): requirements.txt constraints.txt pyproject.toml
	@case "$(VERSION)" in 3.11|3.12|3.13) ;; *) \
		echo "Python is '$(VERSION)' ($(PYTHON)); allowed are 3.11 to 3.13: make PYTHON=python3.12 …" >&2; exit 2;; esac
	@echo "Installing pinned versions into $(VENV): some minutes, about 6 GB with PyTorch's CUDA libraries."
	@test "$$($(BIN)/python -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" = "$(VERSION)" \
		|| $(PYTHON) -m venv --clear $(VENV)
	@rm -f $(VENV)/.installed-*
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.txt -c constraints.txt
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
