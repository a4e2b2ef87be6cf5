"""Steps with gradients written out by hand, against the same steps with autograd."""

import copy

import pytest
import torch

from jointens import Cell, Ensemble
from jointens.models.manual_backward import ManualBackward
from jointens.sweeps import make_trainer


@pytest.fixture
def by_hand(monkeypatch):
    """Count the gradients that are written out by hand."""
    counted, accumulate = [], ManualBackward.accumulate

    def counting(self, *arguments, **options):
        counted.append(1)
        accumulate(self, *arguments, **options)

    monkeypatch.setattr(ManualBackward, "accumulate", counting)
    return counted


@pytest.fixture
def with_autograd(monkeypatch):
    """Make a trainer that leaves every gradient to autograd."""

    def made(experiment):
        with monkeypatch.context() as patch:
            patch.setattr(Ensemble, "manual_backward", lambda self: None)
            return make_trainer(experiment, experiment.cells)

    return made


def assert_same(ours, theirs):
    for one, other in zip(ours, theirs, strict=True):
        assert one.best_epoch == other.best_epoch
        for part in ("train", "val"):
            for metric in ("individual", "ensemble", "diversity"):
                assert one.history[part][metric] == pytest.approx(other.history[part][metric], abs=1e-5), (part, metric)
        assert one.history["objective"] == pytest.approx(other.history["objective"], abs=1e-5)
        for name, value in one.weights.items():
            torch.testing.assert_close(value, other.weights[name], rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "keys",
    [
        {},
        {"average": "probabilities", "weight_decay": 0.01},
        {"average": "released", "momentum": 0.0},
        {"rate_per_learner": True, "learning_rate": 0.02, "lr_switch": [1, 2], "gamma": 0.3},
        {"dataset": "diabetes", "train_size": None, "learning_rate": 0.01},
        {"optimiser": "Adam", "learning_rate": 0.01},
        {"optimiser": "RMSprop", "learning_rate": 0.001},
        {"num_learners": 1},
    ],
    ids=str,
)
def test_a_training_is_that_with_autograd(tiny, by_hand, with_autograd, keys):
    """With a smaller last batch in every epoch: 60 examples and 4 of 64."""
    experiment = tiny(**{"num_epochs": 4, "batch_size": 60, "beta_vals": [0, 0.5, 1], **keys})
    theirs = with_autograd(experiment).run()
    assert not by_hand
    trainer = make_trainer(experiment, experiment.cells)
    ours = trainer.run()
    assert len(by_hand) == 4 * trainer.loader.steps_per_epoch
    assert_same(ours, theirs)


@pytest.mark.parametrize("decay", [0.0, 0.01])
@pytest.mark.parametrize("first_by_hand", [True, False])
def test_one_goes_on_from_the_state_of_the_other(tiny, by_hand, with_autograd, first_by_hand, decay):
    experiment = tiny(num_epochs=4, weight_decay=decay)

    def made(manual):
        return make_trainer(experiment, experiment.cells) if manual else with_autograd(experiment)

    begun, states = made(first_by_hand), []
    # Copied: the state holds the weights themselves, and the run goes on with them.
    begun.on_validation = lambda trainer, *_: states.append(copy.deepcopy(trainer.state()))
    begun.run()
    other = made(not first_by_hand)
    other.load_state(states[1])
    by_hand.clear()
    ours = other.run()
    assert bool(by_hand) == (not first_by_hand)
    assert_same(ours, made(first_by_hand).run())


@pytest.mark.parametrize(
    "keys",
    [{"stack": False}, {"precision": "bfloat16"}, {"dataset": "CIFAR-10", "base_learner": "CNN"}],
    ids=str,
)
def test_others_are_trained_with_autograd(small_sets, tiny, by_hand, keys):
    experiment = tiny(num_epochs=1, train_size=8, val_size=4, test_size=4, data_root=str(small_sets), **keys)
    make_trainer(experiment, [Cell(0.5, 0)]).run()
    assert not by_hand
