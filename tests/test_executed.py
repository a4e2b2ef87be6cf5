"""Nothing stale: stored outputs are those of the source, the profile and the library as they are."""

import shutil
import sys
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "book"))
import executed  # noqa: E402


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_outputs_are_those_of_the_code_as_it_is(path):
    reasons = executed.stale(ROOT, path.stem)
    assert not reasons, f"the outputs stored in {path.name} are stale: {'; '.join(reasons)}. Run `make notebooks`"


@pytest.fixture
def copy(tmp_path):
    """The sources that outputs depend on, to be changed at will."""
    for name in ("notebooks", "jointens", "pyproject.toml", "constraints.txt"):
        origin = ROOT / name
        (shutil.copytree if origin.is_dir() else shutil.copy)(origin, tmp_path / name)
    return tmp_path


def edited(file, text):
    file.write_text(file.read_text() + text)


@pytest.mark.parametrize(
    ("changed", "by"),
    [
        ("notebooks/beta_sweep.py", "\n# %%\nprint(1)\n"),
        ("jointens/decomposition.py", "# a comment\n"),
        ("jointens/randomness.py", "\n"),  # which the notebook imports through others
        ("jointens/figures.py", "\n"),
        ("notebooks/profiles/digits.yml", "momentum: 0.8\n"),
        ("constraints.txt", "\ntorch==99\n"),
        ("jointens/new.py", "\n"),
    ],
)
def test_a_change_of_what_outputs_depend_on_makes_them_stale(copy, changed, by):
    assert executed.stale(copy, "beta_sweep") == executed.stale(ROOT, "beta_sweep")
    (copy / changed).touch()
    edited(copy / changed, by)
    if changed == "jointens/new.py":  # nobody imports it, until somebody does
        assert executed.stale(copy, "beta_sweep") == executed.stale(ROOT, "beta_sweep")
        edited(copy / "jointens" / "data.py", "from . import new\n")
    (reason, *_) = (reason for reason in executed.stale(copy, "beta_sweep") if changed in reason)
    assert reason.endswith("has changed")


def test_outputs_of_another_run_are_told(copy):
    """Run with other parameters in Jupyter Lab and saved, say."""
    path = copy / "notebooks" / "beta_sweep.ipynb"
    notebook = nbformat.read(path, as_version=4)
    next(cell for cell in notebook.cells if cell.get("outputs")).outputs.pop()
    nbformat.write(notebook, path)
    assert "its outputs are not those that were recorded when it was executed" in executed.stale(copy, "beta_sweep")
    (copy / "notebooks" / "executed.json").unlink()
    assert executed.stale(copy, "beta_sweep") == ["executed.json has no record of it"]


def test_what_has_no_part_in_the_outputs_makes_nothing_stale(copy):
    for unimported in ("jointens/__main__.py", "notebooks/profiles/diabetes.yml", "pyproject.toml"):
        edited(copy / unimported, "\n")
    assert executed.stale(copy, "beta_sweep") == executed.stale(ROOT, "beta_sweep")
