"""The three diagnostics over a sweep: each row against the ensemble's outputs, one at a time."""

import dataclasses

import pandas as pd
import pytest
import torch

import jointens
from jointens import Experiment, InputError, decompose, diagnose, drop_learners, stored_outputs
from jointens.analysis import statistics, sweep_diagnostics
from jointens.analysis.stored import StoredOutputs
from jointens.authors.results import convert


@pytest.fixture(scope="module")
def sweeps(tmp_path_factory):
    """Stored outputs of a sweep of each kind: five learners, two seeds, three β."""
    small = {"hidden": [8], "num_learners": 5, "num_epochs": 6, "learning_rate": 0.1, "beta_vals": [0, 0.5, 1]}
    small |= {"seeds": [0, 1], "train_size": 64, "test_size": 40, "device": "cpu"}
    return {
        dataset: stored_outputs(
            jointens.run(Experiment(dataset=dataset, out=str(tmp_path_factory.mktemp("runs")), **small), progress=False)
        )
        for dataset in ("diabetes", "digits")
    }


def rows(frame, stored):
    """Each row of a frame, and the outputs and targets it is of."""
    for row in frame.to_dict("records"):
        yield row, *stored.read(row["beta"], row["seed"], row["checkpoint"])


KEYS = ["checkpoint", "beta", "seed"]
GRID = [(checkpoint, beta, seed) for checkpoint in ("best", "last") for beta in (0, 0.5, 1) for seed in (0, 1)]


@pytest.mark.parametrize("dataset", ["diabetes", "digits"])
def test_explosion_is_the_decomposition_of_every_ensemble(sweeps, dataset):
    stored, parts = sweeps[dataset], ["individual", "ensemble", "diversity"]
    frame = sweep_diagnostics.explosion(stored)
    assert list(frame.columns) == ["checkpoint", "beta", "seed", *parts]
    assert list(frame[["checkpoint", "beta", "seed"]].itertuples(index=False, name=None)) == GRID
    for row, outputs, targets in rows(frame, stored):
        expected = [of.mean().item() for of in decompose(outputs, targets, loss=stored.loss)]
        assert [row[name] for name in parts] == pytest.approx(expected, abs=1e-12)
        assert row["ensemble"] == pytest.approx(row["individual"] - row["diversity"], abs=1e-10)
    measured = stored.results.tests().set_index(["checkpoint", "beta", "seed"])[parts].sort_index()
    found = frame.set_index(["checkpoint", "beta", "seed"]).sort_index()
    pd.testing.assert_frame_equal(found, measured, rtol=1e-4, atol=1e-6)  # as they were told in training


@pytest.mark.parametrize("dataset", ["diabetes", "digits"])
def test_debiased_diversity_falls_by_what_the_shifts_make_up(sweeps, dataset):
    stored = sweeps[dataset]
    frame = sweep_diagnostics.debiased(stored)
    assert list(frame.columns) == ["checkpoint", "beta", "seed", "diversity", "debiased", "fall"]
    assert list(frame[["checkpoint", "beta", "seed"]].itertuples(index=False, name=None)) == GRID
    for row, outputs, targets in rows(frame, stored):
        before = decompose(outputs, targets, loss=stored.loss).diversity.mean().item()
        shifts = outputs.mean(1) - outputs.mean((0, 1))  # (M, K)
        after = decompose(outputs - shifts.unsqueeze(1), targets, loss=stored.loss).diversity.mean().item()
        assert row["diversity"] == pytest.approx(before, abs=1e-12)
        assert row["debiased"] == pytest.approx(after, abs=1e-12)
        assert row["fall"] == pytest.approx((before - after) / before, abs=1e-10)
        if dataset == "diabetes":
            assert before - after == pytest.approx(shifts.square().sum(1).mean().item(), abs=1e-10)
            assert 0 < row["fall"] < 1


@pytest.mark.parametrize(
    ("dataset", "average"),
    [("diabetes", "scores"), ("digits", "scores"), ("digits", "probabilities"), ("digits", "released")],
)
def test_dropped_is_a_loop_over_drop_learners(sweeps, dataset, average):
    stored = dataclasses.replace(sweeps[dataset], average=average, runs=(1,))
    frame = sweep_diagnostics.dropped(stored, shares=(0.2, 0.6), repeats=4, seed=7)
    regression = dataset == "diabetes"
    columns = ["increase", "expected"] if regression else ["increase", "accuracy_lost"]
    assert list(frame.columns) == ["checkpoint", "beta", "seed", "share", "drop", "keep", *columns]
    found = frame[["checkpoint", "beta", "seed", "share"]].itertuples(index=False, name=None)
    assert set(found) == {(*of, share) for of in GRID[1::2] for share in (0.2, 0.6)} and len(frame) == 12
    for row, outputs, targets in rows(frame, stored):
        assert (row["drop"], row["keep"]) == {0.2: (1, 4), 0.6: (3, 2)}[row["share"]]
        for column, loss in {"increase": stored.loss, "accuracy_lost": "zero_one"}.items():
            if column in row:
                how = {"keep": row["keep"], "repeats": 4, "generator": torch.Generator().manual_seed(7)}
                alone = drop_learners(outputs, targets, loss=loss, average=average, **how)
                assert row[column] == pytest.approx(alone, abs=1e-12)
        if regression:
            keep, diversity = row["keep"], outputs.var(0, correction=0).mean().item()
            assert row["expected"] == pytest.approx(diversity * (5 - keep) / (keep * 4), abs=1e-12)


def test_what_is_drawn_comes_near_what_is_expected(sweeps):
    """Its standard error is that of 2 · error · (mean of some learners − mean of all), for the most part."""
    stored = sweeps["diabetes"]
    frame, parts = sweep_diagnostics.dropped(stored, repeats=300), sweep_diagnostics.explosion(stored).set_index(KEYS)
    assert sorted(frame["share"].unique()) == [0.2, 0.4, 0.6] and len(frame) == 36
    for row in frame.to_dict("records"):
        error = 2 * (parts["ensemble"][tuple(row[key] for key in KEYS)] * row["expected"] / (300 * 40)) ** 0.5
        assert 0 < abs(row["increase"] - row["expected"]) < 5 * error
    frame = sweep_diagnostics.dropped(stored)
    assert sweep_diagnostics.dropped(stored).equals(frame)
    assert not sweep_diagnostics.dropped(sweeps["diabetes"], seed=1)["increase"].equals(frame["increase"])


def test_a_converted_sweep_has_the_frames_of_the_folder_at_that_checkpoint(sweeps, tmp_path):
    ours = sweeps["diabetes"]
    there = convert(ours.source, tmp_path / "there")
    for checkpoint in ("best", "last"):
        theirs = stored_outputs(there / f"deep_ensemble_diabetes_{checkpoint}.json")
        for make in (sweep_diagnostics.explosion, sweep_diagnostics.debiased, sweep_diagnostics.dropped):
            found, frame = make(theirs), make(ours)
            assert set(found["checkpoint"]) == {"published"}
            expected = frame[frame["checkpoint"] == checkpoint].drop(columns="checkpoint")
            found = found.drop(columns="checkpoint").astype({"seed": "int64"})
            keys = [name for name in ("beta", "seed", "share") if name in found]
            found, expected = (of.sort_values(keys).reset_index(drop=True) for of in (found, expected))
            pd.testing.assert_frame_equal(found, expected, rtol=1e-5, atol=1e-9)  # decimals of float32


def test_the_frames_are_summed_up_over_beta(sweeps):
    for frame, column in (
        (sweep_diagnostics.debiased(sweeps["diabetes"]), "fall"),
        (sweep_diagnostics.explosion(sweeps["digits"]), "diversity"),
    ):
        told = statistics.over_beta(frame, column)
        for of in told.to_dict("records"):
            chosen = frame[(frame["beta"] == of["beta"]) & (frame["checkpoint"] == of["checkpoint"])]
            assert of["mean"] == pytest.approx(chosen[column].mean(), abs=1e-12)
        assert len(told) == 6


def by_hand(outputs, targets):
    """Stored outputs of one ensemble."""
    told = {"loss": "squared_error", "average": "scores", "betas": (0.0,), "runs": (0,), "checkpoints": ("last",)}
    return StoredOutputs(None, _read=lambda *_: (outputs, targets), **told)


def test_learners_that_are_all_the_same_have_nothing_to_fall():
    stored = by_hand(torch.ones(5, 5, 1), torch.arange(5.0))
    assert sweep_diagnostics.debiased(stored)["fall"].tolist() == [0.0]
    assert sweep_diagnostics.dropped(stored)["increase"].tolist() == [0.0] * 3


def test_of_a_single_learner_none_is_dropped():
    stored = by_hand(torch.arange(5.0).reshape(1, 5, 1), torch.arange(5.0) ** 2)
    assert sweep_diagnostics.debiased(stored)["fall"].tolist() == [0.0]
    with pytest.raises(InputError, match=r"of 1 learners no share of \[0\.2, 0\.4, 0\.6\] is one to drop"):
        sweep_diagnostics.dropped(stored)


def test_each_number_of_dropped_learners_has_one_row():
    stored = by_hand(torch.randn(3, 12, 1).double(), torch.arange(12.0))
    frame = sweep_diagnostics.dropped(stored)  # of 3 learners the shares are 0, 1 and 1
    assert frame[["share", "drop", "keep"]].to_numpy().tolist() == [[0.4, 1, 2]]
    frame = sweep_diagnostics.dropped(stored, shares=(0.9, 0.1, 0.5))
    assert frame[["share", "drop", "keep"]].to_numpy().tolist() == [[0.5, 1, 2], [0.9, 2, 1]]


@pytest.mark.parametrize("share", [0, 1, -0.2, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(InputError, match=rf"^share is {share}; allowed is above 0 and below 1$"):
        sweep_diagnostics.dropped(by_hand(torch.ones(5, 5, 1), torch.arange(5.0)), shares=(0.4, share))


@pytest.mark.parametrize("dataset", ["diabetes", "digits"])
def test_signs_and_their_control_are_those_of_diagnose(sweeps, dataset, monkeypatch):
    monkeypatch.setattr("jointens.diagnostics.statistics.REPEATS", 3)
    stored, names = sweeps[dataset], ["constant shifts", "systematic drift"]

    def told(outputs, targets, others):
        report = diagnose(outputs, targets, loss=stored.loss, average=stored.average, reference=others)
        return [*(report[name].value for name in names), ", ".join(report.alarms)]

    columns = [name.replace(" ", "_") for name in names] + ["alarms"]
    for row in sweep_diagnostics.signs(stored, "best").to_dict("records"):
        outputs, targets = stored.read(row["beta"], row["seed"], "best")
        others = stored.read(0, row["seed"], "best")[0] if row["beta"] else None
        assert [row[name] for name in columns] == told(outputs, targets, others)
    control = sweep_diagnostics.control(stored)
    assert list(control.columns) == ["seed", "ratio", *columns] and control["seed"].tolist() == list(stored.runs)
    for row in control.to_dict("records"):
        outputs, targets = stored.read(0, row["seed"])
        assert [row[name] for name in columns] == told(outputs[:2], targets, outputs[2:4])


def test_of_three_learners_there_are_no_halves():
    frame = sweep_diagnostics.control(by_hand(torch.randn(3, 12, 1).double(), torch.arange(12.0)))
    assert frame.empty and list(frame) == ["seed", "ratio", "constant_shifts", "systematic_drift", "alarms"]
