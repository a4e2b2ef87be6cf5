import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jointens import Experiment

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def tiny(tmp_path):
    """Makes experiments that train in a fraction of a second, in a folder of the test's own."""

    def make(**keys) -> Experiment:
        small = {
            "train_size": 64,
            "hidden": [8],
            "num_learners": 2,
            "num_epochs": 2,
            "seeds": [0, 1],
            "beta_vals": [0, 1],
        }
        return Experiment(**{"out": str(tmp_path / "runs"), "device": "cpu", **small, **keys})

    return make


@pytest.fixture(scope="session")
def shell():
    """Runs a command as a reader would, with the environment active; its output is told if it fails."""

    def run(command: str | list[str]) -> subprocess.CompletedProcess:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        done = subprocess.run(
            command,
            shell=isinstance(command, str),
            cwd=ROOT,
            env={**os.environ, "PATH": path},
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
        return done

    return run


@pytest.fixture(scope="session")
def html(tmp_path_factory, shell) -> Path:
    """The book, built from the committed outputs with warnings as errors, as `make html` does it."""
    out = tmp_path_factory.mktemp("book")
    flags = re.search(r"jupyter-book build (.*) --path-output", (ROOT / "Makefile").read_text())[1].split()
    assert "-W" in flags
    shell(["jupyter-book", "build", *flags, "--path-output", str(out), "."])
    return out / "_build" / "html"
