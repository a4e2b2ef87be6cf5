"""Tests train in a folder of their own: never in runs/, and never with what was trained there."""

import os
import shutil
import tempfile

import pytest


def pytest_configure(config: pytest.Config) -> None:
    config.runs_before = os.environ.get("JOINTENS_RUNS")
    os.environ["JOINTENS_RUNS"] = config.runs = tempfile.mkdtemp(prefix="jointens-tests-")


def pytest_unconfigure(config: pytest.Config) -> None:
    shutil.rmtree(config.runs, ignore_errors=True)
    if config.runs_before is None:
        del os.environ["JOINTENS_RUNS"]
    else:
        os.environ["JOINTENS_RUNS"] = config.runs_before
