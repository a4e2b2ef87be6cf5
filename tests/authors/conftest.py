"""Results of ours on images, made without training."""

import math

import pytest

from jointens import Cell, Experiment, Results
from jointens.experiment import CellRecord


@pytest.fixture
def written(tmp_path):
    """Makes results without training, from the validation losses of finished cells and of those in training."""

    def record(experiment, cell, losses, *, unfinished=False):
        number, each = len(losses), experiment.num_validations // experiment.num_epochs
        val = {
            "individual": [loss + 2 for loss in losses], "ensemble": losses, "diversity": [2.0] * number,
            "accuracy": [0.5] * number, "learner_accuracy": [[i / 64, 0.5] for i in range(number)],
            "top5_accuracy": [0.75] * number,
        }  # fmt: skip
        history = {
            "learning_rate": [experiment.learning_rate] * number, "objective": [3.0] * number, "val": val,
            "epoch": [i // each + 1 for i in range(number)], "epoch_objective": [2.5] * (number // each),
            "step": [i // each * experiment.steps_per_epoch + (i % each + 1) * 2 for i in range(number)],
        }  # fmt: skip
        finite = [loss for loss in losses if math.isfinite(loss)]
        best = losses.index(min(finite)) + 1 if finite else 0
        test = {
            when: None if unfinished else {name: values[at - 1] for name, values in val.items()}
            for when, at in (("best", best), ("last", number))
        }
        about = {"device": "cpu", "stack": []}
        return CellRecord.of(cell, best_epoch=best, test=test, history=history, provenance=about)

    def make(done, unfinished=(), **keys):
        small = {
            "dataset": "toy-imagenet", "base_learner": "MLP", "hidden": [8], "image_size": 32, "num_learners": 2,
            "average": "probabilities", "train_size": 96, "val_size": 48, "batch_size": 16, "validate_every": 2,
            "num_epochs": 3, "lr_switch": 8, "seeds": [0], "beta_vals": [0, 1], "device": "cpu", "store_outputs": False,
            "save_weights": False, "out": str(tmp_path / "runs"),
        }  # fmt: skip
        results = Results(Experiment(**small | keys))
        results.prepare()
        for beta, losses in dict(done).items():
            results.write(record(results.experiment, Cell(beta, 0), losses))
        for beta, losses in dict(unfinished).items():
            results.write_unfinished(record(results.experiment, Cell(beta, 0), losses, unfinished=True))
        return results

    return make
