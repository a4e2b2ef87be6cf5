"""The code of CONTRIBUTING.md works when it is added to the library."""

import shutil
import subprocess
import sys

import pytest
from checkout import ROOT
from own_modules import BLOCKS, OWN, SMALL
from torch import nn


def test_contributing_has_a_block_for_each_addition():
    assert set(BLOCKS) == {
        "my_module.py", "jointens/data/registry.py", "tests/data/test_wine.py", "jointens/models/learners.py",
        "jointens/diagnostics/pairs.py", "jointens/diagnostics/__init__.py", "tests/diagnostics/test_pairs.py",
        "jointens/reports/pairs.py", "notebooks/pairs.py",
    }  # fmt: skip
    assert isinstance(eval_factory(), nn.Module)


def eval_factory():
    namespace = {}
    exec(BLOCKS["my_module.py"], namespace)
    return namespace["small_net"]((2,), 3)


CHECK = """
import runpy
from pathlib import Path

from jointens import Experiment
from jointens.experiment.schema import schema_text

for file, test in (("data/test_wine.py", "test_wine_is_split_by_the_seed"),
                   ("diagnostics/test_pairs.py", "test_two_of_three_learners_agree")):
    runpy.run_path(f"tests/{file}")[test]()
assert '"wine"' in schema_text() and '"Linear"' in schema_text()
chapter = runpy.run_path("notebooks/pairs.py")
(axes,) = chapter["pairs"].disagreement_over_beta(chapter["results"]).axes
x, y = axes.get_lines()[0].get_data()
assert sorted(x) == [0, 0, 1, 1] and all(0 <= value <= 1 for value in y)
assert chapter["results"].folder.name == Experiment.from_profile("profiles/digits.yml").name
"""


@pytest.mark.slow
def test_the_additions_of_contributing_work(tmp_path):
    shutil.copytree(ROOT / "jointens", tmp_path / "jointens", ignore=shutil.ignore_patterns("__pycache__"))
    for file, block in BLOCKS.items():
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        with (tmp_path / file).open("a", encoding="utf-8") as stream:  # added to a file that is there, or a new one
            stream.write(f"\n\n{block}" if stream.tell() else block)
    keys = {**SMALL, "dataset": "wine", "base_learner": "Linear"}
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "digits.yml").write_text("".join(f"{key}: {value}\n" for key, value in keys.items()))

    def python(*words):
        done = subprocess.run([sys.executable, *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    (tmp_path / "check.py").write_text(CHECK)
    folder = python("-m", "jointens", "run", "profiles/digits.yml")
    assert folder.startswith("runs/wine-Linear-") and len(list((tmp_path / folder / "cells").glob("*.json"))) == 4
    python("check.py")
    ours = python("-m", "jointens", "run", "profiles/digits.yml", *(f"{key}={name}" for key, name in OWN.items()))
    assert ours.startswith("runs/blobs-small_net-")
