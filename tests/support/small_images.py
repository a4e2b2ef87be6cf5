"""A small experiment on images, trained with and without recorded steps."""

import pytest
import torch

from jointens import Experiment
from jointens.sweeps import make_trainer

CPU = torch.device("cpu")


def images(root, **keys):
    small = {"train_size": 20, "val_size": 10, "test_size": 10, "batch_size": 8, "num_epochs": 5, "num_learners": 2}
    return Experiment(
        dataset="CIFAR-10", data_root=root, device="cpu",
        **{"base_learner": "CNN", "beta_vals": [0, 1], "seeds": [0], "learning_rate": 0.01, **small, **keys},
    )  # fmt: skip


def trained(experiment, recorder=None):
    trainer = make_trainer(experiment, experiment.cells)
    trainer.step.record = recorder
    return trainer, trainer.run()


def same(ours, theirs, tolerance=0.0):
    for one, other in zip(ours, theirs, strict=True):
        for name, weight in one.weights.items():
            torch.testing.assert_close(weight, other.weights[name], rtol=0, atol=tolerance)
        assert one.history["val"]["ensemble"] == pytest.approx(other.history["val"]["ensemble"], abs=tolerance or 1e-12)
        assert one.history["objective"] == pytest.approx(other.history["objective"], abs=tolerance or 1e-12)
