"""One folder for what tests train, and how tests are shared out among xdist's worker processes.

Tests never train in runs/, and never see what was trained there.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent

# Files that take long start first, so that no worker is left with one of them at the end.
LONG_FIRST = (
    "notebooks",
    "tests/repository/test_browser.py",
    "tests/repository/test_book.py",
    "tests/repository/test_chapters.py",
    "tests/models/test_learners.py",
    "tests/sweeps/test_resume.py",
    "tests/training/test_execution.py",
    "tests/training/test_pretended_gpu.py",
    "tests/training/test_memory.py",
    "tests/models/test_imagenet.py",
    "tests/repository/test_benchmarks.py",
    "tests/theory/test_gradients.py",
    "tests/cli/test_main.py",
)


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return  # a worker has the folder of the process that started it
    config.runs_before = os.environ.get("JOINTENS_RUNS")
    os.environ["JOINTENS_RUNS"] = config.runs = tempfile.mkdtemp(prefix="jointens-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    if hasattr(config, "workerinput"):
        return
    shutil.rmtree(config.runs, ignore_errors=True)
    if config.runs_before is None:
        del os.environ["JOINTENS_RUNS"]
    else:
        os.environ["JOINTENS_RUNS"] = config.runs_before


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the notebooks as slow, and start the files that take long first; a file's tests stay in their order."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.slow)
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    file = "notebooks" if item.path.suffix == ".ipynb" else item.path.relative_to(ROOT).as_posix()
    return LONG_FIRST.index(file) if file in LONG_FIRST else len(LONG_FIRST)
