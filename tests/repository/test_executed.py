"""Nothing stale: stored outputs are those of the source, the profile and the library as they are."""

import functools
import shutil

import build
import executed
import jupytext
import nbformat
import pytest
from chapters import chapters
from checkout import ROOT

# Why a chapter of the checkout is stale; nothing here changes its files.
stale_here = functools.cache(lambda name: executed.stale(ROOT, name))


@pytest.mark.parametrize("name", chapters(ROOT))
def test_the_outputs_are_those_of_the_code_as_it_is(name):
    reasons = stale_here(name)
    assert not reasons, f"the outputs stored in {name}.ipynb are stale: {'; '.join(reasons)}. Run `make notebooks`"


def test_every_notebook_has_its_record():
    assert set(executed.read(ROOT / "notebooks")) == set(chapters(ROOT)), "run `make notebooks ALL=1`"


@pytest.fixture
def copy(tmp_path):
    """The sources that outputs depend on, to be changed at will."""
    (tmp_path / "book").mkdir()
    files = ("book/paper_values.yml", "book/claims.yml", "pyproject.toml", "constraints.txt", "_toc.yml")
    for name in ("notebooks", "jointens", "results", "book/images", *files):
        origin = ROOT / name
        (shutil.copytree if origin.is_dir() else shutil.copy)(origin, tmp_path / name)
    return tmp_path


def edited(file, text):
    file.write_text(file.read_text() + text)


@pytest.mark.parametrize(
    ("changed", "by"),
    [
        ("notebooks/beta_sweep.py", "\n# %%\nprint(1)\n"),
        ("jointens/losses/decomposition.py", "# a comment\n"),
        ("jointens/common/seeding.py", "\n"),  # which the notebook imports through others
        ("jointens/reports/beta_sweep.py", "\n"),
        ("notebooks/profiles/digits.yml", "momentum: 0.8\n"),
        ("notebooks/profiles/cifar10_resnet18.yml", "\n"),  # the chapter lists what of it is published
        ("results/cifar10_cnn-scores/cells/beta=0,seed=0.json", "\n"),
        ("results/cifar10_resnet18-scores/cells/beta=0.2,seed=99.json", "{}"),
        ("constraints.txt", "\ntorch==99\n"),
        ("jointens/data/new.py", "\n"),
    ],
)
def test_a_change_of_what_outputs_depend_on_makes_them_stale(copy, changed, by):
    assert executed.stale(copy, "beta_sweep") == stale_here("beta_sweep")
    (copy / changed).parent.mkdir(parents=True, exist_ok=True)
    (copy / changed).touch()
    edited(copy / changed, by)
    if changed == "jointens/data/new.py":  # nobody imports it, until somebody does
        assert executed.stale(copy, "beta_sweep") == stale_here("beta_sweep")
        edited(copy / "jointens" / "data" / "splits.py", "from . import new\n")
    (reason, *_) = (reason for reason in executed.stale(copy, "beta_sweep") if changed in reason)
    assert reason.endswith("has changed")


def test_outputs_of_another_run_are_told(copy):
    """Run with other parameters in Jupyter Lab and saved, say."""
    path = copy / "notebooks" / "beta_sweep.ipynb"
    notebook = nbformat.read(path, as_version=4)
    next(cell for cell in notebook.cells if cell.get("outputs")).outputs.pop()
    nbformat.write(notebook, path)
    assert "its outputs are not those that were recorded when it was executed" in executed.stale(copy, "beta_sweep")
    for damaged in ("<<<<<<< HEAD", "{}", '{"beta_sweep": {}}'):
        (copy / "notebooks" / "executed.json").write_text(damaged)
        assert executed.stale(copy, "beta_sweep") == ["executed.json has no record of it"]


def test_cells_and_pictures_belong_together(copy):
    """What `make notebooks` would write must be what lies there: it is what the tests say to run."""
    before = stale_here("beta_sweep")
    path = copy / "notebooks" / "beta_sweep.ipynb"
    notebook = nbformat.read(path, as_version=4)
    notebook.cells[0].source += " Edited."
    nbformat.write(notebook, path)
    (copy / "book" / "images" / "fig-beta-sweep-photographs.png").write_bytes(b"")
    told = set(executed.stale(copy, "beta_sweep")) - set(before)
    assert told >= {"book/images/fig-beta-sweep-photographs.png is not the figure that it holds"}
    assert "its cells are not those of beta_sweep.py" in executed.stale(copy, "beta_sweep")


@pytest.fixture
def refresh(copy, monkeypatch):
    """Refresh the copy's notebooks; instead of executing them, their names are returned."""
    ran = []
    monkeypatch.setenv("JOINTENS_RUNS", "set again by refresh, and here in the end")
    for module in (build, executed):
        monkeypatch.setattr(module, "ROOT", copy)
    monkeypatch.setattr(build, "execute", lambda source, target: ran.append(source.stem))

    def run():
        ran.clear()
        build.refresh(everything=True)
        return ran

    return run


def test_an_edit_that_only_the_notebook_has_is_not_overwritten(copy, refresh):
    source, notebook = (copy / "notebooks" / f"objective{suffix}" for suffix in (".py", ".ipynb"))
    edited(source, "\n# %% [markdown]\n# More.\n")
    assert "objective" in refresh()  # the text is the newer one
    own = nbformat.read(notebook, as_version=4)
    own.cells[0].source += " Edited in Lab without pairing."
    nbformat.write(own, notebook)
    with pytest.raises(SystemExit, match=r"^notebooks/objective\.ipynb: edited, but the edits are not in the \.py"):
        refresh()
    assert "without pairing" in notebook.read_text()
    jupytext.write(own, source, fmt="py:percent")  # as the message advises
    assert "objective" in refresh()
    notebook.write_text("damaged")
    assert "objective" in refresh()


def test_a_notebook_that_is_no_chapter_is_left_alone(copy, refresh):
    for suffix in (".py", ".ipynb"):
        (copy / "notebooks" / f"scratch{suffix}").write_text("1 / 0\n")
    assert refresh() == chapters(copy) == chapters(ROOT)


def test_an_edit_while_a_notebook_runs_is_not_taken_for_executed(copy, monkeypatch):
    monkeypatch.setattr(executed, "ROOT", copy)
    before = executed.sources_of(copy, "beta_sweep")
    edited(copy / "jointens" / "training" / "trainer.py", "\n")
    path = copy / "notebooks" / "beta_sweep.ipynb"
    executed.write(path, finished="2026-11-22T12:00+00:00", seconds=1.0, sources=before)
    assert "jointens/training/trainer.py has changed" in executed.stale(copy, "beta_sweep")


def test_parameters_that_no_profile_can_hold_have_none(copy):
    source = copy / "notebooks" / "beta_sweep.py"
    for line in ("seeds = list(range(10))", "momentum, gamma = 0.9, 0.2"):
        text = (ROOT / "notebooks" / "beta_sweep.py").read_text()
        source.write_text(text.replace("momentum = 0.9", line))
        assert executed.profiles_of(copy, "beta_sweep") == []
    (copy / "notebooks" / "profiles" / "aa.yml").write_text("[:")
    source.write_text((ROOT / "notebooks" / "beta_sweep.py").read_text())
    assert executed.profiles_of(copy, "beta_sweep") == ["digits"]


def test_profiles_that_a_chapter_names_are_among_its_sources(copy):
    assert executed.profiles_of(copy, "codependence") == ["diabetes_ensembles", "digits"]
    before = set(executed.stale(copy, "codependence"))
    edited(copy / "notebooks" / "profiles" / "digits.yml", "momentum: 0.8\n")
    assert set(executed.stale(copy, "codependence")) - before == {"notebooks/profiles/digits.yml has changed"}


@pytest.mark.parametrize("changed", ["results/tabular/weather.csv", "notebooks/profiles/weather.yml"])
def test_published_tables_are_among_the_sources_of_the_chapter_that_shows_them(copy, changed):
    before = set(executed.stale(copy, "tabular"))
    edited(copy / changed, "\n")
    assert set(executed.stale(copy, "tabular")) - before == {f"{changed} has changed"}


@pytest.mark.parametrize(
    "changed", ["book/claims.yml", "results/tabular/weather.csv", "results/cifar10_cnn-scores/experiment.yml"]
)
def test_the_ledger_and_its_data_are_among_the_sources_of_the_chapter_of_claims(copy, changed):
    before = set(executed.stale(copy, "claims"))
    edited(copy / changed, "\n")
    assert set(executed.stale(copy, "claims")) - before == {f"{changed} has changed"}


def test_what_has_no_part_in_the_outputs_makes_nothing_stale(copy):
    for unimported in ("jointens/__main__.py", "notebooks/profiles/diabetes.yml", "pyproject.toml"):
        edited(copy / unimported, "\n")
    assert executed.stale(copy, "beta_sweep") == stale_here("beta_sweep")


def test_imports_are_followed_through_rooms_and_their_faces(tmp_path):
    files = {
        "package/__init__.py": "from .low import thing",
        "package/low/__init__.py": "from .inner import thing",
        "package/low/inner.py": "from ..lower.deep import other",
        "package/lower/__init__.py": "",
        "package/lower/deep.py": "import package.alone",
        "package/lower/unused.py": "",
        "package/alone.py": "",
        "chapter.py": "import json\nfrom package.low import thing",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    found = executed.imported(tmp_path / "package", tmp_path / "chapter.py")
    unused = {"package/lower/unused.py", "chapter.py"}
    assert {str(file.relative_to(tmp_path)) for file in found} == files.keys() - unused
    direct = executed.imported_directly(tmp_path / "package", tmp_path / "chapter.py")
    assert {str(file.relative_to(tmp_path)) for file in direct} == {"package/__init__.py", "package/low/__init__.py"}
