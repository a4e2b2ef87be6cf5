"""Stored outputs, ours and the authors': every ensemble of a sweep, and one line for what is not there."""

import dataclasses
import json
import shutil

import numpy as np
import pytest
import torch

import jointens
from jointens import Cell, Experiment, InputError, Results, stored_outputs
from jointens.authors.results import convert


@pytest.fixture(scope="module")
def sweep(tmp_path_factory):
    """A sweep of regression, three learners, two seeds; not to be changed."""
    small = {
        "hidden": [8],
        "num_learners": 3,
        "num_epochs": 8,
        "learning_rate": 0.3,
        "beta_vals": [1, 0, 0.5],
        "seeds": [3, 0],
    }
    out = str(tmp_path_factory.mktemp("runs"))
    return jointens.run(Experiment(dataset="diabetes", device="cpu", out=out, **small), progress=False)


@pytest.fixture
def copy(sweep, tmp_path):
    return Results.at(shutil.copytree(sweep.folder, tmp_path / "copy"))


def test_ours_at_both_checkpoints(sweep):
    stored = stored_outputs(sweep.folder)
    assert (stored.source, stored.loss, stored.average) == (sweep.folder, "squared_error", "scores")
    assert (stored.betas, set(stored.runs), stored.checkpoints) == ((0.0, 0.5, 1.0), {0, 3}, ("best", "last"))
    differing = 0
    for cell in sweep.experiment.cells:
        arrays = sweep.outputs(cell)
        for checkpoint in (*stored.checkpoints, None):
            outputs, targets = stored.read(cell.beta, cell.seed, checkpoint)
            assert outputs.shape == (3, 89, 1) and outputs.dtype == targets.dtype == torch.float64
            np.testing.assert_array_equal(outputs, arrays[f"test_outputs_{checkpoint or 'last'}"])
            np.testing.assert_array_equal(targets, arrays["test_targets"])
        differing += not np.array_equal(arrays["test_outputs_best"], arrays["test_outputs_last"])
    assert differing >= 3


def test_they_are_those_that_the_cells_tell_of(sweep):
    """The mean of the stored outputs against the losses that were measured while they were trained."""
    stored = stored_outputs(sweep)
    for record in sweep.records():
        for checkpoint in stored.checkpoints:
            outputs, targets = stored.read(record.beta, record.seed, checkpoint)
            ensemble = (outputs.mean(0).squeeze(-1) - targets).square().mean().item()
            assert ensemble == pytest.approx(record.test[checkpoint].ensemble, rel=1e-5)


def test_the_ends_of_the_grid_and_what_is_needed(sweep):
    stored = stored_outputs(sweep)
    assert (stored.independent, stored.joint) == (0, 1)
    other = dataclasses.replace(stored, betas=(-2.0, 0.25, 0.5, 1.5, 3.0))
    assert (other.independent, other.joint) == (0.25, 0.5)
    assert stored.need() is stored is stored.need(loss="squared_error", learners=3)
    for needed, told in (
        ({"loss": "cross_entropy"}, "outputs judged by squared_error; needed here is cross_entropy"),
        ({"learners": 4}, "ensembles of 3; needed here are 4 learners"),
    ):
        with pytest.raises(InputError) as error:
            stored.need(**needed)
        assert str(error.value) == f"{sweep.folder} holds {told}"


def test_a_folder_may_be_named_in_any_way(sweep, monkeypatch):
    monkeypatch.chdir(sweep.folder.parent)
    for source in (sweep, sweep.folder, str(sweep.folder), sweep.folder.name):
        assert stored_outputs(source).betas == (0.0, 0.5, 1.0)
    assert stored_outputs(sweep).results is sweep and stored_outputs(sweep.folder).results.folder == sweep.folder


def test_the_classes_of_classification_stay_whole_numbers(tiny):
    stored = stored_outputs(jointens.run(tiny(average="probabilities", seeds=[0], test_size=30), progress=False))
    outputs, targets = stored.read(1, 0, "best")
    assert (stored.loss, stored.average) == ("cross_entropy", "probabilities")
    assert outputs.shape == (2, 30, 10) and outputs.dtype == torch.float64 and targets.dtype == torch.int64


def test_only_seeds_with_the_outputs_of_every_beta_are_there(copy):
    copy.path(Cell(0.5, 3), ".npz").unlink()  # as in a grid that grew
    for source in (copy, copy.folder):
        with pytest.warns(UserWarning) as told:
            assert stored_outputs(source).runs == (0,)
        assert [str(of.message) for of in told] == [f"{copy.folder}: 1 of 2 seeds lack a β and are left out"]
    copy.path(Cell(1.0, 0)).unlink()  # that cell is not done
    with pytest.raises(InputError, match="holds no seed with the learners' outputs for every β: it was trained with"):
        stored_outputs(copy)


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        ({"beta": 0.7}, "holds no outputs of beta 0.7; it has 0, 0.5, 1"),
        ({"run": 1}, "holds no outputs of seed 1; it has "),
        ({"run": "mine"}, "holds no outputs of seed mine; it has "),
        ({"checkpoint": "first"}, "holds no outputs of checkpoint first; it has best, last"),
        ({"checkpoint": "published"}, "holds no outputs of checkpoint published; it has best, last"),
    ],
)
def test_what_is_not_there_is_named_beside_what_is(sweep, asked, told):
    with pytest.raises(InputError) as error:
        stored_outputs(sweep).read(**{"beta": 0, "run": 0} | asked)
    assert str(error.value).startswith(f"{sweep.folder} {told}")


@pytest.mark.parametrize("content", [b"", b"PK", b"no arrays", None])
def test_a_damaged_file_of_outputs_is_named(copy, content):
    path = copy.path(Cell(0.0, 0), ".npz")
    path.write_bytes(path.read_bytes()[:-100] if content is None else content)
    with pytest.raises(InputError) as error:
        stored_outputs(copy).read(0, 0)
    assert path.name in str(error.value) and "\n" not in str(error.value)


def test_no_outputs(tiny, tmp_path):
    without = jointens.run(tiny(store_outputs=False, seeds=[0]), progress=False)
    started = Results(tiny(num_epochs=9))
    started.prepare()
    for source, told in (
        (without.folder, "holds no seed with the learners' outputs"),
        (started.folder, "holds no seed with the learners' outputs"),
        (tmp_path, "is no results folder: it holds no experiment.yml"),
        (tmp_path / "none", "is no results folder"),
        (tmp_path / "none.json", "cannot read "),
        (tmp_path / "none.csv", "is no results folder"),
    ):
        with pytest.raises(InputError, match=told) as error:
            stored_outputs(source)
        assert str(source) in str(error.value) and "\n" not in str(error.value)


def test_theirs_have_runs_by_name_and_one_checkpoint(tmp_path):
    file = tmp_path / "deep_ensemble_mine.json"
    outputs = np.random.default_rng(0).normal(size=(2, 4, 3, 1))  # (β, N, M, 1)
    run = {"beta": [0.0, 1.0], "targets": [[1, 2, 3, 4]] * 2, "ind_preds": outputs.tolist()}
    losses = {name: [1.0, 2.0] for name in ("ens_loss", "div_loss", "w_ind_loss")}
    file.write_text(json.dumps({"first": run | losses, "2": run | losses}))
    for source in (file, str(file)):
        stored = stored_outputs(source)
        assert (stored.betas, stored.runs, stored.checkpoints) == ((0.0, 1.0), ("first", "2"), ("published",))
        assert (stored.loss, stored.results) == ("squared_error", None)
        found, targets = stored.read(1, "first")
        np.testing.assert_array_equal(found, outputs[1].swapaxes(0, 1))
        assert found.dtype == targets.dtype == torch.float64 and targets.tolist() == [1, 2, 3, 4]
    with pytest.raises(InputError, match="holds no outputs of seed 0; it has first, 2"):
        stored.read(1, 0)
    with pytest.raises(InputError, match="holds no outputs of checkpoint last; it has published"):
        stored.read(1, "2", "last")


def test_a_converted_sweep_is_read_as_the_folder_at_that_checkpoint(sweep, tmp_path):
    there, ours = convert(sweep.folder, tmp_path / "there"), stored_outputs(sweep)
    for checkpoint in ours.checkpoints:
        theirs = stored_outputs(there / f"deep_ensemble_diabetes_{checkpoint}.json")
        assert theirs.betas == ours.betas and set(theirs.runs) == set(map(str, ours.runs))
        for beta in ours.betas:
            for seed in ours.runs:
                for one, other in zip(theirs.read(beta, str(seed)), ours.read(beta, seed, checkpoint), strict=True):
                    torch.testing.assert_close(one, other, rtol=1e-7, atol=0)  # of float32: its shortest decimals
                    assert torch.equal(one.float(), other.float())
