"""One folder for what tests train, and how tests are shared out among xdist's worker processes.

Tests never train in runs/, and never see what was trained there.
"""

import os
import shutil
import tempfile
from pathlib import Path

import pytest
from chapters import chapters

ROOT = Path(__file__).parent

# The order in which files start. Those that take long are first, so that no worker is left with one of them at the end.
# The kernel of `codependence` grows to 2 GB in its first 45 s: beside it runs what needs little memory. Tests
# that start processes of their own run while pytest's are still small, and not two files of them at once.
FIRST = (
    "notebooks/codependence.ipynb",
    "tests/theory/",
    "tests/losses/",
    "tests/diagnostics/",
    "tests/repository/test_executed.py",
    "tests/data/test_loaders.py",
    "tests/reports/",
    "tests/sweeps/test_resume.py",
    "notebooks/imagenet.ipynb",
    "notebooks/beta_sweep.ipynb",
    "tests/sweeps/test_workers.py",
    "tests/repository/test_browser.py",
    "tests/repository/test_book.py",
    "tests/models/test_learners.py",
    "tests/results/test_missing.py",
    "tests/training/test_memory.py",
    "tests/training/test_execution.py",
    "tests/sweeps/test_slurm.py",
    "tests/repository/test_chapters.py",
    "tests/repository/test_benchmarks.py",
    "tests/cli/test_main.py",
    "tests/models/test_imagenet.py",
    "notebooks/",
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


def pytest_ignore_collect(collection_path: Path) -> bool | None:
    """Leave out notebooks that are no chapters."""
    own = collection_path.parent == ROOT / "notebooks" and collection_path.suffix == ".ipynb"
    return True if own and collection_path.stem not in chapters(ROOT) else None


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the notebooks as slow, and sort the files; a file's tests stay in their order."""
    for item in items:
        if item.path.suffix == ".ipynb":
            item.add_marker(pytest.mark.slow)
    items.sort(key=_place)


def _place(item: pytest.Item) -> int:
    file = item.path.relative_to(ROOT).as_posix()
    return next((place for place, start in enumerate(FIRST) if file.startswith(start)), len(FIRST))
