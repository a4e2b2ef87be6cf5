"""Runs whose loss is not finite: they end there, alone and in a stack, and leave nothing but their course."""

import math

from trained_runs import train, weights_close

from jointens import Cell

HUGE = 1e30  # a β or a rate with which the first step ruins the weights


def test_training_ends_where_the_loss_is_not_finite_and_leaves_nothing_but_its_course(tiny):
    (cell,) = train(tiny(learning_rate=HUGE, num_epochs=7), [Cell(1.0, 0)])
    assert cell.best_epoch == 0 and cell.test == {"best": None, "last": None}
    assert not cell.outputs and not cell.weights
    lists = [cell.history["objective"], cell.history["learning_rate"], *cell.history["val"].values()]
    assert [len(values) for values in lists] == [1] * len(lists)
    assert math.isnan(cell.history["val"]["ensemble"][0])


def test_a_run_that_diverged_later_has_no_best_checkpoint_either(tiny):
    """With β = 3 the objective is unbounded: diversity grows, at first slowly."""
    keys = {"dataset": "diabetes", "learning_rate": 0.1, "momentum": 0.0, "scheduler": "none", "num_epochs": 40}
    (cell,) = train(tiny(**keys), [Cell(3.0, 0)])
    *before, last = cell.history["val"]["ensemble"]
    assert 3 < len(before) < 39 and all(map(math.isfinite, before)) and not math.isfinite(last)
    assert before[1] < before[0]  # so that there was a best one
    assert cell.best_epoch == 0 and cell.test["best"] is None


def test_in_a_stack_a_run_that_diverges_leaves_what_it_leaves_alone(tiny):
    cells = [Cell(0.5, 0), Cell(HUGE, 0)]
    experiment = tiny(num_epochs=4, batch_size=10, validate_every=3)  # two validations in an epoch of seven steps
    finite, diverged = train(experiment, cells)
    (finite_alone,), (diverged_alone,) = (train(experiment, [cell]) for cell in cells)
    assert repr(diverged) == repr(diverged_alone)  # NaN equals NaN in words alone
    assert len(diverged.history["step"]) == 1 and diverged.history["epoch_objective"] == []
    assert finite.best_epoch == finite_alone.best_epoch and len(finite.history["step"]) == 8
    weights_close(finite, finite_alone, 1e-5)
