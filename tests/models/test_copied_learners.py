"""An ensemble has copies of its learners: of one architecture, with weights of their own, and nothing lost."""

import copy
import functools

import pytest
import torch
from small_ensembles import Columns, X, assert_is_one_by_one, mlp, net
from torch import nn

from jointens import Ensemble


def closed():
    learner = Columns()
    learner.factor = lambda x: learner.last.bias.sum()
    return learner


def changed_forward():
    learner = net()
    forward = learner.forward
    learner.forward = lambda x: 2 * forward(x)
    return learner


def recording():
    learner = net()
    learner[0].register_forward_hook(lambda module, inputs, output, own=learner: output + own[0].bias)
    return learner


def parted():
    learner = Columns()
    learner.table = {"a": [functools.partial(lambda x, inner: inner(x), inner=lambda x: learner.last(x))]}
    return learner


@pytest.mark.parametrize("stack", [None, False, True])
@pytest.mark.parametrize("make", [closed, changed_forward, recording, parted])
def test_a_copy_that_would_compute_with_the_learner_is_refused(make, stack):
    with pytest.raises(ValueError, match=r"refers to the learner by its closure|'0' has hooks") as error:
        Ensemble([make(), make()], stack=stack)
    assert "\n" not in str(error.value)


def test_methods_and_closures_over_other_things_are_copied():
    seen = []

    class Own(nn.Module):
        def __init__(self):
            super().__init__()
            self.last = nn.Linear(12, 3)
            self.last.register_forward_hook(self.doubled)
            self.last.register_forward_hook(lambda module, inputs, output: seen.append(output))

        def doubled(self, module, inputs, output):
            return output + self.last.bias

        def forward(self, x):
            return self.last(x)

    learners = [Own(), Own()]
    assert_is_one_by_one(Ensemble(learners), learners, X)
    assert len(seen) == 4


def test_what_a_copy_would_lose_is_refused():
    for register in ("register_hook", "register_post_accumulate_grad_hook"):
        learners = [mlp(), mlp()]
        getattr(learners[1][1].weight, register)(lambda value: None)
        for stack in (None, False, True):
            with pytest.raises(
                ValueError, match=r"learner 1 has a hook of the gradient of '1\.weight', which is not co"
            ):
                Ensemble(learners, stack=stack)
    learners = [mlp(), mlp()]
    learners[1].activity = learners[1][1].weight * 2  # no leaf of the graph
    with pytest.raises(
        ValueError, match="learner 1 cannot be copied: RuntimeError: Only Tensors created expl"
    ) as error:
        Ensemble(learners)
    assert "\n" not in str(error.value)


# ------------------------------------------------------------------------------------------------------- architectures


def test_what_is_built_otherwise_is_named():
    cases = [
        (
            nn.Sequential(nn.Linear(4, 4), nn.Tanh()),
            r"'1' is a torch.nn.modules.activation.Tanh, not a torch.nn.*ReLU;",
        ),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.ReLU()), r"'2' is a torch.*ReLU, not missing"),
        (nn.Sequential(nn.Linear(4, 4)), r"'1' is missing, not a torch.*ReLU"),
        (
            nn.Sequential(nn.Linear(4, 3), nn.ReLU()),
            r"'0\.weight' is float32 \(3, 4\) on cpu, not float32 \(4, 4\) on cpu",
        ),
        (nn.Sequential(nn.Linear(4, 4), nn.ReLU()).double(), r"'0\.weight' is float64 \(4, 4\) on cpu, not float32"),
        (
            nn.Sequential(nn.Linear(4, 4, device="meta"), nn.ReLU()),
            r"'0\.weight' is float32 \(4, 4\) on meta, not float32 \(4, 4\)",
        ),
        (nn.Linear(4, 4), r"the module itself is a torch.nn.modules.linear.Linear, not a torch.*Sequential"),
    ]
    first = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
    for other, message in cases:
        for stack in (None, False, True):
            with pytest.raises(ValueError, match=f"learner 2 is built otherwise than learner 0: {message}"):
                Ensemble([first, copy.deepcopy(first), other], stack=stack)


def test_tied_and_untied_weights_are_two_architectures():
    tied, untied = (nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)) for _ in range(2))
    tied[1].weight = tied[0].weight
    with pytest.raises(ValueError, match=r"'1\.weight' is float32 \(4, 4\) on cpu, not missing"):
        Ensemble([tied, untied])


def test_learners_have_weights_of_their_own():
    first, second = net(), net()
    message = "learner 2 is the same module as learner 0; allowed are different ones"
    for stack in (None, False, True):
        with pytest.raises(ValueError, match=message):
            Ensemble([first, second, first], stack=stack)
    assert Ensemble([first, second, first, second], runs=2)(torch.stack([X, X])).shape == (2, 2, 5, 3)
    trunk = nn.Linear(12, 6)
    learners = [nn.Sequential(nn.ReLU(), trunk, nn.Linear(6, 3)) for _ in range(2)]
    with pytest.raises(
        ValueError, match=r"learner 1 shares '1\.weight' with learner 0; allowed are weights of its own"
    ):
        Ensemble(learners)
    trunk.requires_grad_(False)  # then a copy does the same
    assert_is_one_by_one(Ensemble(learners), learners, X)


def test_a_class_made_for_each_learner_is_looped():
    def make():
        class Net(nn.Linear):
            pass

        return Net(12, 3)

    learners = [make(), make()]
    assert_is_one_by_one(Ensemble(learners), learners, X)
    with pytest.raises(ValueError, match="in the module itself: another class of the same name"):
        Ensemble(learners, stack=True)
