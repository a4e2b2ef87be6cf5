"""What is measured at the end: nothing that is known already, and with the numbers of measuring it again."""

import pytest
import torch

from jointens.sweeps import make_trainer
from jointens.training import Trainer


def trained(experiment):
    """Train; returns the runs, and which parts of the data were read."""
    reads = []

    trainer = make_trainer(experiment, experiment.cells)
    loader, groups = trainer.loader, trainer.loader.groups

    def counted(part):
        reads.append("test" if part is loader.test else "val" if part is loader.val else "train")
        return groups(part)

    loader.groups = counted
    return trainer.run(), reads


@pytest.mark.parametrize(("num_epochs", "tests"), [(3, 1), (80, 2)])  # the last validation is the best, or not
def test_what_is_known_is_not_measured_again(tiny, num_epochs, tests):
    experiment = tiny(num_epochs=num_epochs, label_noise=0.5, max_patience=99, beta_vals=[1], seeds=[0])
    (run,), reads = trained(experiment)
    assert reads.count("test") == tests and reads.count("val") == num_epochs + tests - 1
    assert (run.best_epoch == num_epochs) == (tests == 1)


def test_the_numbers_are_those_of_measuring_again(tiny, monkeypatch):
    experiment = tiny(num_epochs=3, learning_rate=0.01, max_patience=9, beta_vals=[1], seeds=[0])
    (ours,), _ = trained(experiment)
    finished = Trainer._finished

    def measured_again(self):
        self._val_groups, self.seen = None, 1
        return finished(self)

    monkeypatch.setattr(Trainer, "_finished", measured_again)
    (again,), reads = trained(experiment)
    assert reads.count("test") == 2 and reads.count("val") == 5
    assert ours.test == again.test and ours.history == again.history
    assert ours.outputs.keys() == again.outputs.keys()
    assert all(torch.equal(ours.outputs[name], again.outputs[name]) for name in ours.outputs)
    assert all(torch.equal(ours.weights[name], again.weights[name]) for name in ours.weights)


def test_steps_after_the_last_validation_are_measured(tiny):
    """The last validation may be the best, and the end another one."""
    experiment = tiny(
        num_epochs=1, validate_every=3, batch_size=16, learning_rate=0.01, max_patience=9, beta_vals=[1], seeds=[0]
    )
    assert experiment.steps_per_epoch == 4
    (run,), reads = trained(experiment)
    assert run.best_epoch == 1 and reads.count("test") == 2
    assert not torch.equal(run.outputs["val_outputs_last"], run.outputs["val_outputs_best"])
