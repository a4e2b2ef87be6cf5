"""A stacked ensemble's module can be reached and set like any other, and its weights have their names of always."""

import copy

import pytest
import torch
from small_ensembles import Tied, assert_is_one_by_one, batch_norm_net, cnn, mlp
from torch import nn

from jointens import Ensemble
from jointens.models.ensemble import seeded_learners

IMAGES = torch.linspace(-2, 2, 5 * 64).sin().reshape(5, 1, 8, 8)


def with_dropout() -> nn.Module:
    """A plain chain with a dropout that has a mode and a rate of its own."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.Dropout(0.5), nn.ReLU(), nn.Linear(9, 10))


def own_class() -> nn.Module:
    """The same, but evaluated by vmap."""
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 9), nn.Dropout(0.5), nn.Tanh(), nn.Linear(9, 10))


def three(make, **options):
    learners = seeded_learners(make, 3, seed=0)
    return learners, Ensemble(learners, stack=True, **options)


def layers(module, kind):
    return [each for each in module.modules() if isinstance(each, kind)]


# -------------------------------------------------------------------------------------------------------------- modes


@pytest.mark.parametrize("make", [with_dropout, own_class])
def test_a_layer_has_a_mode_of_its_own(make):
    """Monte-Carlo dropout: in evaluation with dropout, and in training without."""
    learners, ensemble = three(make)
    ensemble.eval()
    assert torch.equal(ensemble(IMAGES), ensemble(IMAGES))
    for dropout in layers(ensemble, nn.Dropout):
        dropout.train()
    first, second = ensemble(IMAGES), ensemble(IMAGES)
    assert all(not torch.equal(one, two) for one, two in zip(first, second, strict=True))  # of each learner
    ensemble.eval().apply(lambda module: module.train() if isinstance(module, nn.Dropout) else None)
    assert not torch.equal(ensemble(IMAGES), ensemble(IMAGES))
    ensemble.train()
    ensemble.learner[2].eval()
    for learner in learners:
        learner[2].eval()
    assert_is_one_by_one(ensemble, learners, IMAGES)


@pytest.mark.parametrize("make", [with_dropout, own_class])
def test_a_rate_that_is_set_holds_for_all_learners(make):
    learners, ensemble = three(make)
    ensemble.learner[2].p = 0.0
    for learner in learners:
        learner[2].p = 0.0
    assert_is_one_by_one(ensemble, learners, IMAGES)


def test_the_mode_of_learners_is_kept():
    learners, _ = three(with_dropout)
    for learner in learners:
        learner[2].eval()
    assert_is_one_by_one(Ensemble(learners, stack=True), learners, IMAGES)


def test_batch_norm_can_be_frozen():
    """Its statistics and its weights stay; what is trained is what the learners by themselves would train."""
    learners, ensemble = three(batch_norm_net)
    ensemble.train()
    for module in (ensemble, *learners):
        for norm in layers(module, nn.BatchNorm2d):
            norm.eval().requires_grad_(False)
    before = {name: value.clone() for name, value in ensemble.weights().items()}
    assert_is_one_by_one(ensemble, learners, IMAGES)
    trained = [p for p in ensemble.parameters() if p.requires_grad]
    torch.optim.SGD(trained, lr=0.1).step()
    changed = [name for name, value in ensemble.weights().items() if not torch.equal(value, before[name])]
    assert changed == ["0.weight", "0.bias", "4.weight", "4.bias"]


@pytest.mark.parametrize("make", [mlp, cnn, batch_norm_net])
def test_parameters_are_those_of_the_modules(make):
    learners, ensemble = three(make)
    found = [p for module in ensemble.modules() for p in module.parameters(recurse=False)]
    assert list(map(id, found)) == list(map(id, ensemble.parameters()))
    for own, *theirs in zip(found, *(learner.parameters() for learner in learners), strict=True):
        assert torch.equal(own, torch.stack(theirs))


# -------------------------------------------------------------------------------------------------------------- apply


@pytest.mark.parametrize("make", [mlp, batch_norm_net])
def test_apply_that_changes_weights_is_refused_and_changes_nothing(make):
    """An initialisation would take the number of learners for one of inputs or outputs."""
    _, ensemble = three(make)
    with torch.no_grad():
        ensemble.learner[0 if make is batch_norm_net else 1].bias.fill_(torch.nan)  # equal to itself
    parameters, before = list(ensemble.parameters()), copy.deepcopy(ensemble.state_dict())

    def initialise(module):
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            module.bias = nn.Parameter(torch.zeros_like(module.bias))
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.data.fill_(3.0)

    with pytest.raises(ValueError, match="apply changed a bias of a stacked ensemble, which holds") as error:
        ensemble.apply(initialise)
    assert "\n" not in str(error.value)
    assert list(map(id, parameters)) == list(map(id, ensemble.parameters()))
    for name, value in ensemble.state_dict().items():
        torch.testing.assert_close(value, before[name], rtol=0, atol=0, equal_nan=True)


def test_apply_reaches_every_module_once():
    learners, ensemble = three(mlp)
    for one, number in ((ensemble, 1), (Ensemble(learners, stack=False), 3)):
        seen = []
        assert one.apply(seen.append) is one
        assert sum(isinstance(module, nn.Linear) for module in seen) == 2 * number and seen[-1] is one
    looped = Ensemble(learners, stack=False)
    looped.apply(lambda module: nn.init.ones_(module.weight) if isinstance(module, nn.Linear) else None)
    assert all((value == 1).all() for name, value in looped.weights().items() if "weight" in name)


def test_apply_may_freeze():
    _, ensemble = three(mlp)
    ensemble.apply(lambda module: module.requires_grad_(False) if isinstance(module, nn.Flatten | nn.Linear) else None)
    assert not any(p.requires_grad for p in ensemble.parameters())
    assert ensemble.manual_backward() is None


# ------------------------------------------------------------------------------------------------------ other changes


@pytest.mark.parametrize("make", [mlp, cnn, own_class])
def test_hooks_on_a_stacked_layer_are_refused(make):
    _, ensemble = three(make)
    inputs = torch.randn(4, 3, 17, 20) if make is cnn else IMAGES
    before, last = ensemble.eval()(inputs), len(ensemble.learner) - 1
    for register in ("forward_hook", "forward_pre_hook", "full_backward_hook", "full_backward_pre_hook"):
        handle = getattr(ensemble.learner[last], f"register_{register}")(lambda *_: None)
        with pytest.raises(ValueError, match=f"'{last}' of a stacked ensemble has hooks; only looped ones, with"):
            ensemble(inputs)
        handle.remove()
        assert torch.equal(ensemble(inputs), before)


def test_a_layer_may_be_replaced():
    learners, ensemble = three(mlp)
    for module in (ensemble.learner, *learners):
        module[2] = nn.Tanh()
    assert_is_one_by_one(ensemble, learners, IMAGES)
    for module in (ensemble.learner, *learners):
        module[2].forward = torch.sin
    assert_is_one_by_one(ensemble, learners, IMAGES)
    for module in (ensemble.learner, *learners):
        module[2] = nn.ReLU()
    assert_is_one_by_one(ensemble, learners, IMAGES)
    assert ensemble.manual_backward() is not None


def test_an_option_may_be_changed():
    def make():
        return nn.Sequential(nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 9, 3))

    learners, ensemble = three(make)
    inputs = torch.randn(4, 2, 3, 3)
    assert_is_one_by_one(ensemble, learners, inputs)
    for module in (ensemble.learner, *learners):
        module[0].dilation = 2
        module[0].padding = 2
    assert_is_one_by_one(ensemble, learners, inputs)


@pytest.mark.parametrize("make, number", [(mlp, 2), (mlp, 3), (own_class, 2)])
def test_a_layer_for_one_learner_is_refused(make, number):
    """Nor are three outputs of it taken for those of three learners."""
    _, ensemble = three(make)
    last = len(ensemble.learner) - 1
    ensemble.learner[last] = nn.Linear(ensemble.learner[last].in_features, number)
    with pytest.raises(ValueError, match=r"allowed is \(3,\) \+ |the learners' outputs are|do not compute as one"):
        ensemble(IMAGES)


def test_weights_may_be_replaced():
    learners, ensemble = three(mlp)
    ensemble.learner[1].weight = nn.Parameter(2 * ensemble.learner[1].weight.detach())
    for learner in learners:
        learner[1].weight = nn.Parameter(2 * learner[1].weight.detach())
    assert_is_one_by_one(ensemble, learners, IMAGES)


@pytest.mark.parametrize("make", [mlp, cnn, batch_norm_net])
def test_copies_moved_and_loaded_ensembles_compute_with_their_own_weights(make):
    inputs = torch.randn(4, 3, 17, 20) if make is cnn else IMAGES
    learners, ensemble = three(make)
    for module in (ensemble, *learners):
        module.eval()
    other = copy.deepcopy(ensemble)
    other.load_weights({name: 0 * value for name, value in other.weights().items()})
    assert (other(inputs) == 0).all()
    assert_is_one_by_one(ensemble, learners, inputs)
    other.load_state_dict(ensemble.state_dict(), assign=True)
    assert_is_one_by_one(other, learners, inputs)
    for module in (other, *learners):
        module.double()
    assert_is_one_by_one(other, learners, inputs.double())
    assert ensemble(inputs).dtype == torch.float32


# -------------------------------------------------------------------------------------------------- names of weights


# As `state_dict` of the first versions had them: the learner's own names behind "learner/", without dots.
NAMES = {
    mlp: ["learner/1/weight", "learner/1/bias", "learner/3/weight", "learner/3/bias"],
    batch_norm_net: [
        "learner/0/weight", "learner/0/bias", "learner/1/weight", "learner/1/bias", "learner/1/num_batches_tracked",
        "learner/1/running_mean", "learner/1/running_var", "learner/4/weight", "learner/4/bias",
    ],
    Tied: ["learner/one/weight", "learner/one/bias", "learner/two/bias"],
}  # fmt: skip


@pytest.mark.parametrize("outer", [False, True], ids=["alone", "within a module"])
@pytest.mark.parametrize("make", NAMES)
def test_checkpoints_have_the_names_of_always(make, outer):
    learners, ensemble = three(make)
    prefix, whole = ("0.", nn.Sequential(ensemble)) if outer else ("", ensemble)
    names = [prefix + name for name in NAMES[make]]
    assert set(whole.state_dict()) == set(names)
    first = learners[0].state_dict()
    saved = {}  # as such a checkpoint was written, with values of its own
    for number, name in enumerate(names):
        own = first[name.removeprefix(prefix + "learner/").replace("/", ".")]
        saved[name] = torch.full((3, *own.shape), number, dtype=own.dtype)
    whole.load_state_dict(saved)
    for name, value in ensemble.weights().items():
        assert torch.equal(value, saved[f"{prefix}learner/" + name.replace(".", "/")])
    assert len(saved) == len(names)
    with pytest.raises(RuntimeError, match="Missing key"):
        whole.load_state_dict({name: saved[name] for name in names[1:]})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        whole.load_state_dict({**saved, prefix + "learner/7/weight": torch.zeros(3)})


def test_a_state_goes_around():
    for make in (mlp, batch_norm_net):
        _, ensemble = three(make)
        other = Ensemble(seeded_learners(make, 3, seed=1), stack=True)
        other.load_state_dict(ensemble.state_dict())
        assert all(torch.equal(value, ensemble.weights()[name]) for name, value in other.weights().items())
