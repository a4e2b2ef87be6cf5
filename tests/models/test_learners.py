"""Base learners: the authors' sizes, what they take, and two training steps of every combination."""

import itertools

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from jointens import Experiment, InputError, make_learner
from jointens.losses import AVERAGES
from jointens.models.ensemble import Ensemble, seeded_learners
from jointens.models.learners import LEARNERS
from jointens.sweeps import build
from jointens.sweeps.build import make_trainer
from jointens.training import OPTIMISERS, SCHEDULERS

CIFAR = (3, 32, 32)
SMALL = [name for name, learner in LEARNERS.items() if "width" in learner.options]  # not those for ImageNet
OWN_WEIGHTS = [name for name in SMALL if not LEARNERS[name].shared]


def narrow_learner(name, shape, classes):
    """Make a base learner of the same architecture, with few enough weights to train all combinations."""
    return make_learner(name, shape, classes, width=0.25)


@pytest.mark.parametrize(
    ("name", "parameters", "each_class"),
    [("ResNet18", 11_173_962, 513), ("ResNet34", 21_282_122, 513), ("VGG", 14_991_946, 513), ("CNN", 31_340, 51)],
)
def test_sizes_are_those_of_the_authors_code(name, parameters, each_class):
    for classes in (10, 100):
        with torch.device("meta"):
            learner = make_learner(name, CIFAR, classes)
        assert sum(p.numel() for p in learner.parameters()) == parameters + (classes - 10) * each_class


@pytest.mark.parametrize(
    ("width", "stem_stride", "parameters", "multiplications"),
    [(1, 1, 78_042, 12_501_632), (1, 2, 78_042, 3_125_888), (2.25, 2, 390_142, 15_511_968), (0.5, 2, 19_954, 809_280)],
)
def test_the_size_and_the_work_of_resnet8(width, stem_stride, parameters, multiplications):
    learner = make_learner("ResNet8", CIFAR, 10, width=width, stem_stride=stem_stride)
    assert sum(p.numel() for p in learner.parameters()) == parameters
    with FlopCounterMode(display=False) as counter:
        learner.eval()(torch.zeros(1, *CIFAR))
    assert counter.get_total_flops() == 2 * multiplications


def test_resnet8_is_mlperf_tinys_but_for_biases_and_the_shortcuts_normalisation():
    """MLPerf Tiny counts 78,666: with the biases of nine convolutions and with running statistics."""
    learner = make_learner("ResNet8", CIFAR, 10)
    convolutions = [module for module in learner.modules() if isinstance(module, nn.Conv2d)]
    normalised = [module.num_features for module in learner.modules() if isinstance(module, nn.BatchNorm2d)]
    shortcuts = [convolution.out_channels for convolution in convolutions if convolution.kernel_size == (1, 1)]
    assert len(convolutions) == 9 and shortcuts == [32, 64]
    ours = sum(p.numel() for p in learner.parameters())
    biases = sum(convolution.out_channels for convolution in convolutions)
    running = 2 * (sum(normalised) - sum(shortcuts))
    assert ours + biases + running - 2 * sum(shortcuts) == 78_666


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("shape", [CIFAR, (1, 32, 48)])
def test_inputs_and_outputs(name, shape):
    learner = make_learner(name, shape, 7).eval()
    assert learner(torch.zeros(2, *shape)).shape == (2, 7)


def test_the_resnets_are_torchvisions_but_for_the_stem():
    """With the same weights, torchvision's model gives the same outputs once its stem is that for small images."""
    import torchvision

    ours, theirs = make_learner("ResNet18", CIFAR, 10).eval(), torchvision.models.resnet18(num_classes=10).eval()
    theirs.conv1 = torch.nn.Conv2d(3, 64, 3, padding=1, bias=False)
    theirs.maxpool = torch.nn.Identity()
    theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    images = torch.randn(2, *CIFAR)
    torch.testing.assert_close(ours(images), theirs(images), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("name", SMALL)
def test_width_multiplies_every_layer_but_the_ends(name):
    with torch.device("meta"):
        plain, wide = (make_learner(name, CIFAR, 10, width=width).state_dict() for width in (1, 3))
    weights = [name for name in plain if name.endswith("weight") and plain[name].ndim > 1]
    for name in weights:
        outputs, inputs = (wide[name].shape[axis] / plain[name].shape[axis] for axis in (0, 1))
        assert outputs == (1 if name == weights[-1] else 3) and inputs == (1 if name == weights[0] else 3), name


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"dataset": "digits", "base_learner": "CNN"}, "CNN, which takes images of at least 16×16 pixels; digits has"),
        ({"dataset": "digits", "base_learner": "VGG"}, "at least 32×32 pixels; digits has inputs of shape 1×8×8"),
        ({"dataset": "diabetes", "base_learner": "ResNet18"}, "takes images of at least 1×1 pixels; diabetes has"),
        ({"dataset": "digits", "base_learner": "RNN"}, "known are MLP, CNN, ResNet8, ResNet18, ResNet34, VGG"),
        ({"width": -1}, "allowed is more than 0"),
        ({"base_learner": "MLP", "stem_stride": 2}, "stem_stride is 2; MLP allows only 1, ResNet8, ResNet18, ResNet34"),
        ({"width": 0}, "width is 0.0; allowed is more than 0"),
        ({"base_learner": "TabM", "stack": False}, "stack is false; learners of TabM share weights"),
    ],
)
def test_a_learner_that_does_not_fit_is_told(keys, message):
    with pytest.raises(InputError, match=message):
        Experiment(**keys)


def test_a_whole_width_is_the_same_experiment_however_it_is_written():
    """Results that are published with `width: 5` were made when only whole factors were allowed."""
    written = [Experiment(base_learner="MLP", width=width) for width in (5, 5.0, "5", "5.0")]
    assert {experiment.hash for experiment in written} == {written[0].hash}
    assert [type(experiment.width) for experiment in written] == [int] * 4
    assert Experiment(width="2.25").width == 2.25


@pytest.mark.parametrize("name", SMALL)
def test_stacked_and_looped_learners_give_the_same_outputs_and_gradients(name):
    """In evaluation mode, so without dropout; in float64, where only rounding is left between the two."""
    learners = [learner.double() for learner in seeded_learners(lambda: narrow_learner(name, CIFAR, 4), 2, seed=0)]
    images, results = torch.randn(3, *CIFAR, dtype=torch.float64), []
    for stack in (True, False):
        ensemble = Ensemble(learners, stack=stack).eval()
        outputs = ensemble(images)
        outputs.square().sum().backward()
        for parameter in ensemble.parameters():
            parameter.data = parameter.grad  # which `weights()` then gives by name
        results.append({**ensemble.weights(), "outputs": outputs.detach()})
    stacked, looped = results
    assert stacked.keys() == looped.keys()
    for name, value in stacked.items():
        torch.testing.assert_close(value, looped[name], rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("name", OWN_WEIGHTS)
@pytest.mark.slow
def test_stacked_and_looped_training_reach_the_same_losses(name, small_sets, monkeypatch):
    """Through the trainer, with the dropout of every learner taken out.

    Loosely: batch-norm over so few examples makes float32's rounding a part in a thousand. That both compute the same
    is held by the test above, in float64.
    """

    def without_dropout(experiment):
        learner = narrow_learner(name, experiment.input_shape, experiment.about_data.num_outputs)
        for module in learner.modules():
            if isinstance(module, (torch.nn.Dropout, torch.nn.Dropout2d)):
                module.p = 0.0
        return learner

    monkeypatch.setattr(build, "make_learner", without_dropout)
    small = {"train_size": 12, "val_size": 8, "test_size": 8, "batch_size": 6, "num_epochs": 1, "num_learners": 2}
    results = []
    for stack in (True, False):
        experiment = Experiment(
            dataset="CIFAR-10", base_learner=name, data_root=small_sets, beta_vals=[0.5], seeds=[0], stack=stack,
            learning_rate=0.01, device="cpu", **small,
        )  # fmt: skip
        (cell,) = make_trainer(experiment, experiment.cells).run()
        results.append(cell.history)
    for split in ("train", "val"):
        for loss in ("individual", "ensemble"):
            stacked, looped = (history[split][loss] for history in results)
            assert stacked == pytest.approx(looped, rel=1e-2), (split, loss)
    assert results[0]["objective"] == pytest.approx(results[1]["objective"], rel=1e-2)


RATES = {"ExponentialLR": [0.01, 0.002], "Linear": [0.01, 0.005], "none": [0.01, 0.01]}


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("optimiser", OPTIMISERS)
@pytest.mark.slow
def test_every_combination_trains_two_steps(name, optimiser, small_sets, monkeypatch):
    """Every learner with every optimiser, schedule and average: two steps, the second after the rate has fallen."""
    monkeypatch.setattr(build, "make_learner", lambda experiment: narrow_learner(name, experiment.input_shape, 10))
    assert set(RATES) == set(SCHEDULERS)
    dataset = "CIFAR-10" if (LEARNERS[name].smallest or 0) > 8 else "digits"  # of 8×8 pixels
    moved = {}
    for scheduler, average in itertools.product(SCHEDULERS, AVERAGES):
        experiment = Experiment(
            dataset=dataset, base_learner=name, optimiser=optimiser, scheduler=scheduler, average=average,
            data_root=small_sets, train_size=4, val_size=2, test_size=2, batch_size=4, num_epochs=2, lr_switch=[1],
            num_learners=2, beta_vals=[0.5], seeds=[0], learning_rate=0.01, device="cpu",
        )  # fmt: skip
        trainer, steps = make_trainer(experiment, experiment.cells), []
        before = {key: value.clone() for key, value in trainer.ensemble.weights().items()}
        trainer.optimiser.register_step_post_hook(lambda *_, steps=steps: steps.append(1))
        (cell,) = trainer.run()
        assert len(steps) == 2
        assert cell.history["learning_rate"] == pytest.approx(RATES[scheduler])
        assert torch.tensor(cell.history["objective"]).isfinite().all()
        after = trainer.ensemble.weights()  # at the best epoch, one of the two
        weights = [key for key, value in before.items() if key.endswith("weight") and value.ndim > 3]
        changes = [(after[key] - before[key]).abs().flatten(2).amax(-1).min() for key in weights]  # of (R, M, ...)
        assert min(changes) > 0, "a learner's layer has not moved"
        moved[scheduler, average] = float(sum(after[key].float().sum() for key in after))
    assert len({moved["none", average] for average in AVERAGES}) == 3, "the averages train alike"
