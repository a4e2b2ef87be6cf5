"""Recorded steps train as plain ones, on a stand-in of a CUDA graph."""

import pytest
import torch
from recording import record
from small_images import images, same, trained

from jointens import Cell, InputError
from jointens.models.learners import resnet
from jointens.sweeps import build, make_trainer
from jointens.training import GraphedStep, cuda_graph
from jointens.training.graphed_step import WARM_UP

# ------------------------------------------------------------------------------------------------ recorded steps


@pytest.mark.parametrize("average", ["scores", "probabilities", "released"])
def test_replayed_steps_train_bit_for_bit_as_plain_ones(tiny, average):
    """Rates that fall in between, two paired seeds, and a last batch of another shape: 64 is 3 × 20 and 4."""
    experiment = tiny(average=average, num_epochs=9, lr_switch=[5, 7], batch_size=20, rate_per_learner=True)
    replays = []

    def counted(function):
        replay = record(function)
        return lambda: (replays.append(1), replay())

    same(trained(experiment, counted)[1], trained(experiment)[1])
    assert len(replays) == 9 * 4 - 2 * WARM_UP  # of 9 epochs with 3 batches of 20 and one of 4


@pytest.mark.parametrize("stack", [True, False])
def test_replayed_steps_on_images_are_augmented_and_dropped_anew(small_sets, stack):
    experiment = images(small_sets, stack=stack, lr_switch=[3])
    same(trained(experiment, record)[1], trained(experiment)[1])


@pytest.mark.slow
def test_replayed_steps_keep_the_statistics_of_batch_norm(small_sets, monkeypatch):
    def small(experiment):
        return resnet(64, (1, 1), (3, 32, 32), 10, width=1)

    monkeypatch.setattr(build, "make_learner", small)
    experiment = images(small_sets, base_learner="ResNet18", beta_vals=[0.5], num_epochs=3)
    same(trained(experiment, record)[1], trained(experiment)[1])


def test_a_number_that_python_computes_in_each_step_would_be_noticed(tiny):
    """Adam's count of steps is on the host where there is no GPU: replayed, it stands still."""
    experiment = tiny(optimiser="Adam", learning_rate=0.01, num_epochs=8)
    with pytest.raises(AssertionError):
        same(trained(experiment, record)[1], trained(experiment)[1])


def test_a_step_is_recorded_once_for_each_shape_and_again_after_forget():
    seen, kept = [], torch.zeros(())

    def recorder(function):
        seen.append("recorded")
        return record(function)

    def add(values):
        kept.add_(values.sum())

    step = GraphedStep(recorder)
    for _ in range(WARM_UP + 2):
        step(add, torch.ones(4))
        step(add, torch.ones(2))
    assert seen == ["recorded"] * 2 and kept == 6 * (WARM_UP + 2)
    step.forget()
    step(add, torch.full((4,), 2.0))
    assert seen == ["recorded"] * 3 and kept == 6 * (WARM_UP + 2) + 8


def test_a_step_that_cannot_be_recorded_is_told_in_one_line(monkeypatch):
    class Graph:
        def __init__(self, *of, **options):
            pass

        __enter__ = __exit__ = lambda self, *error: None

    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", Graph)
    monkeypatch.setattr(torch.cuda, "current_stream", lambda: None)

    def waits():
        raise RuntimeError("operation not permitted when stream is capturing\nand more")

    with pytest.raises(
        InputError, match=r"CUDA graph \(operation not permitted when .* capturing\); use execution=eager"
    ):
        cuda_graph(waits)


def test_nothing_recorded_is_left_after_a_run(tiny):
    trainer, recorded = make_trainer(tiny(num_epochs=6), [Cell(0.0, 0)]), []
    trainer.step.record = lambda function: recorded.append(1) or record(function)
    trainer.run()
    assert recorded and not trainer.step._recorded


def test_a_new_rate_is_recorded_anew(tiny):
    trainer = make_trainer(tiny(), [Cell(0.0, 0)])
    forgotten = []
    trainer.step.forget = lambda: forgotten.append(1)
    for rate in (0.1, 0.1, 0.02):
        trainer._set_rate(rate)
    assert len(forgotten) == 1 and trainer.optimiser.param_groups[0]["lr"] == 0.02
