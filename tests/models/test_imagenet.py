"""The learners for ImageNet: the authors' sizes, what they take, and two steps of each on real images."""

import itertools

import pytest
import torch

from jointens import Experiment, InputError
from jointens.models.learners import make_learner
from jointens.sweeps import make_trainer

PARAMETERS = {
    "ResNet18_IN": 11_689_512,
    "ResNet34_IN": 21_797_672,
    "SqueezeNet_IN": 1_235_496,
    "DenseNet_IN": 7_978_856,
    "ShuffleNet_IN": 2_278_604,
    "MobileNet_IN": 2_542_856,
    "MobileViT_IN": 2_382_944,
}
TIMMS = ["timm:resnet10t", "timm:vit_tiny_patch16_224"]  # the second has a fixed size of its images


@pytest.mark.parametrize("name", PARAMETERS)
def test_learners_have_the_authors_number_of_parameters(name):
    with torch.device("meta"):
        learner = make_learner(name, (3, 256, 256), 1000)
    assert sum(value.numel() for value in learner.parameters()) == PARAMETERS[name]


@pytest.mark.parametrize("name", [*PARAMETERS, *TIMMS])
def test_learners_give_a_score_for_each_class(name):
    learner = make_learner(name, (3, 64, 64), 12)
    outputs = learner(torch.rand(2, 3, 64, 64))
    assert outputs.shape == (2, 12) and outputs.dtype == torch.float32 and outputs.isfinite().all()


@pytest.mark.parametrize("name", TIMMS)
def test_learners_of_timm_take_grey_images(name):
    assert make_learner(name, (1, 32, 32), 10)(torch.rand(2, 1, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("name", ["ShuffleNet_IN", "MobileViT_IN", "timm:resnet10t"])
def test_weights_follow_from_the_global_stream(name):
    def drawn(seed):
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return torch.cat([value.flatten() for value in make_learner(name, (3, 64, 64), 5).parameters()])

    first = drawn(0)
    assert torch.equal(first, drawn(0)) and not torch.equal(first, drawn(1))


def experiment(**keys):
    return Experiment(**{"dataset": "toy-imagenet", "base_learner": "ShuffleNet_IN", "device": "cpu", **keys})


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        (
            {"base_learner": "timm:resnet99"},
            "timm:resnet99, a name that timm does not know; the nearest are resnet",
        ),
        ({"base_learner": "timm:"}, "base_learner is timm:, a name that timm does not know; the nearest are"),
        ({"base_learner": "timm:§"}, "a name that timm does not know; the nearest are"),
        ({"base_learner": "ResNet18_im"}, "base_learner is .*ResNet18_im.*ResNet18_IN.*timm:"),
        ({"width": 2}, "width is 2; ShuffleNet_IN has fixed widths and allows only 1"),
        (
            {"width": 2, "base_learner": "timm:resnet10t"},
            "width is 2; timm:resnet10t has fixed widths and allows only 1",
        ),
        (
            {"base_learner": "MobileViT_IN", "image_size": 100},
            "MobileViT_IN, whose images' sides are multiples of 64 pixels; toy-imagenet has inputs of shape 3×100×100",
        ),
        ({"image_size": 16}, "which takes images of at least 32×32 pixels; toy-imagenet has inputs of shape 3×16×16"),
        ({"base_learner": "VGG", "image_size": 16}, "at least 32×32 pixels; toy-imagenet has inputs of shape 3×16×16"),
        ({"dataset": "digits"}, "which takes images of at least 32×32 pixels; digits has inputs of shape 1×8×8"),
        ({"dataset": "diabetes"}, "ShuffleNet_IN, which takes images .*; diabetes has inputs of shape 10"),
        ({"dataset": "diabetes", "base_learner": "timm:resnet10t"}, "takes images .*; diabetes has inputs of shape 10"),
        (
            {"base_learner": "timm:inception_v3", "image_size": 32},
            "base_learner is timm:inception_v3, which does not take images of 3×32×32: ",
        ),
        (
            {"dataset": "CIFAR-10", "base_learner": "CNN", "image_size": 64},
            "image_size is 64; CIFAR-10 has images of one size and allows none",
        ),
        (
            {"dataset": "digits", "base_learner": "MLP", "image_size": 8},
            "image_size is 8; digits has images of one size",
        ),
    ],
    ids=lambda of: "-".join(map(str, of.values())) if isinstance(of, dict) else "",
)
def test_what_a_learner_does_not_take_is_one_line_before_anything_is_read(keys, message):
    with pytest.raises(InputError, match=message) as caught:
        experiment(**keys)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", PARAMETERS)
def test_learners_for_colour_images_refuse_others(name):
    with pytest.raises(InputError, match=f"{name}, which takes images of 3 channels; .* shape 1×64×64"):
        make_learner(name, (1, 64, 64), 10)


@pytest.mark.parametrize(
    ("keys", "size"),
    [
        ({"dataset": "ImageNet"}, 224),
        ({"dataset": "ImageNet", "base_learner": "MobileViT_IN"}, 256),
        ({"dataset": "ImageNet", "base_learner": "timm:resnet10t"}, 224),
        ({"dataset": "ImageNet", "base_learner": "MobileViT_IN", "image_size": 128}, 128),
        ({}, 64),
        ({"base_learner": "MobileViT_IN"}, 64),
        ({"image_size": 96}, 96),
        ({"dataset": "CIFAR-10"}, 32),
    ],
    ids=str,
)
def test_images_have_their_learners_size_unless_it_is_told(keys, size):
    ours = experiment(**keys)
    assert ours.input_shape == (3, size, size)
    if ours.dataset != "CIFAR-10":
        assert ours.identity()["image_size"] == size


def test_what_is_usual_and_told_is_the_same_experiment():
    assert experiment(image_size=64).hash == experiment().hash != experiment(image_size=96).hash


# ---- real images


def after_two_steps(root, **keys):
    """A trainer after two steps and a validation, and the sums of its weights before."""
    keys = {
        "dataset": "ImageNet", "train_size": 150, "val_size": 50, "batch_size": 4, "image_size": 64,
        "num_learners": 2, "average": "probabilities", "beta_vals": [1], "seeds": [0], "validate_every": 2,
        "measured_size": 4, "data_root": str(root), "device": "cpu", **keys,
    }  # fmt: skip
    ours = Experiment(**keys)
    trainer = make_trainer(ours, ours.cells)
    before = sums(trainer.ensemble)
    trainer.train_steps(itertools.islice(trainer.loader.epoch(), 2))
    trainer._validate()
    return trainer, before


def sums(ensemble):
    """The sum of each tensor of each learner, `(M, tensors)`: copies of a ResNet34's weights take 170 MB each."""
    with torch.no_grad():
        return torch.tensor([[p.double().sum() for p in learner.parameters()] for learner in ensemble.learners])


def assert_trained(trainer, before):
    (entry,) = trainer.history
    val = entry["val"]
    for name in ("individual", "ensemble", "diversity"):
        assert val[name].shape == (1,) and val[name].isfinite().all() and entry["train"][name].isfinite().all()
    assert entry["objective"].isfinite().all() and trainer.seen == 0 and trainer.epoch_seen == 8
    assert 0 <= val["top5_accuracy"].item() <= 1 and val["top5_accuracy"] >= val["accuracy"]
    assert val["learner_accuracy"].shape == (1, 2)
    moved = sums(trainer.ensemble) != before
    assert (moved.double().mean(1) > 0.8).all()  # of each learner's tensors; some follow only dead units


@pytest.mark.realdata
@pytest.mark.parametrize("name", [*PARAMETERS, "timm:resnet10t"])
@pytest.mark.slow
def test_real_images_train_every_learner(name, imagenet_root):
    assert_trained(*after_two_steps(imagenet_root, base_learner=name))


@pytest.mark.realdata
@pytest.mark.slow
def test_real_images_train_a_learner_at_their_true_size_with_workers(imagenet_root):
    trainer, before = after_two_steps(imagenet_root, base_learner="ShuffleNet_IN", image_size=None, workers=2)
    assert next(trainer.loader.epoch())[0].shape == (1, 4, 3, 224, 224)
    assert_trained(trainer, before)
