"""Augmentation against torchvision's, image by image and in distribution."""

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision import transforms
from torchvision.transforms import functional

from jointens import Experiment, InputError
from jointens.data.augmentation import Augmentation
from jointens.data.registry import DATASETS

PROTOCOL = DATASETS["CIFAR-10"].augmentation


@pytest.fixture
def images():
    return torch.randint(256, (200, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def draws_of(augment, number, seed=0):
    return augment.draw(number, torch.Generator().manual_seed(seed))


def by_torchvision(image, top, left, flip, degrees, padding):
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    picture = functional.crop(functional.pad(picture, padding), int(top), int(left), *image.shape[1:])
    picture = functional.hflip(picture) if flip else picture
    return torch.from_numpy(np.array(functional.rotate(picture, degrees))).permute(2, 0, 1)


def test_the_protocol_is_what_the_authors_code_has():
    assert Augmentation(padding=4, flip=True, degrees=15) == PROTOCOL == DATASETS["CIFAR-100"].augmentation
    assert DATASETS["SVHN"].augmentation == Augmentation(flip=True)


def test_images_in_memory_can_be_augmented_otherwise():
    for name in ("CIFAR-10", "SVHN"):
        dataset = DATASETS[name]
        assert dataset.augmented("crop_flip").augmentation == Augmentation(padding=4, flip=True)
        assert dataset.augmented("none").augmentation is None
        assert dataset.augmented("protocol") is dataset


@pytest.mark.parametrize("name", ["digits", "abalone", "toy-imagenet"])
def test_other_data_have_their_protocol_alone(name):
    keys = {"base_learner": "ResNet18_IN"} if name == "toy-imagenet" else {}
    assert Experiment(dataset=name, augmentation="protocol", **keys).augmentation == "protocol"
    for other in ("none", "crop_flip"):
        with pytest.raises(InputError, match=f"^augmentation is {other}; {name} allows protocol$"):
            Experiment(dataset=name, augmentation=other, **keys)


def test_the_same_draws_give_torchvisions_images(images):
    """Pixel for pixel; only where a source lies on the edge of two pixels may rounding choose the other."""
    draws = draws_of(PROTOCOL, len(images))
    ours = PROTOCOL(images, draws)
    theirs = torch.stack([by_torchvision(*of, padding=4) for of in zip(images, *draws.T.tolist(), strict=True)])
    assert ours.dtype == torch.uint8
    assert (ours != theirs).float().mean() < 1e-3


def test_images_that_are_not_square(images):
    wide = images[:, :, :20]
    draws = draws_of(PROTOCOL, len(wide))
    theirs = torch.stack([by_torchvision(*of, padding=4) for of in zip(wide, *draws.T.tolist(), strict=True)])
    assert (PROTOCOL(wide, draws) != theirs).float().mean() < 1e-3


def test_the_distribution_is_that_of_torchvisions_transforms(images):
    """Of one image, many draws of each: mean and deviation of every pixel, and the share that is black."""
    number = 6000
    image = images[0].clamp(min=1)  # so that black comes from outside only
    ours = PROTOCOL(image.expand(number, -1, -1, -1), draws_of(PROTOCOL, number)).float()
    theirs_one_by_one = transforms.Compose(
        [transforms.RandomCrop(32, padding=4), transforms.RandomHorizontalFlip(), transforms.RandomRotation(15)]
    )
    picture = Image.fromarray(image.permute(1, 2, 0).numpy())
    with torch.random.fork_rng():
        torch.manual_seed(1)
        theirs = torch.stack(
            [torch.from_numpy(np.array(theirs_one_by_one(picture))).permute(2, 0, 1) for _ in range(number)]
        ).float()
    error = ((ours.var(0) + theirs.var(0)) / number).sqrt()
    # 3072 differences in standard errors: the largest of so many is below 5 but once in a thousand times.
    assert ((ours.mean(0) - theirs.mean(0)).abs() / error).max() < 5
    assert (ours.std(0) / theirs.std(0) - 1).abs().max() < 0.15
    black = [(of == 0).all(1).float().mean((1, 2)) for of in (ours, theirs)]  # share of each image, (number,)
    spread = ((black[0].var() + black[1].var()) / number).sqrt()
    assert abs(black[0].mean() - black[1].mean()) < 4 * spread


def test_another_padding_angle_or_no_flip_would_be_noticed(images):
    """The test above can fail: each of these moves the mean image by far more than five standard errors."""
    number, image = 6000, images[0]

    def mean(augment, seed):
        of = augment(image.expand(number, -1, -1, -1), draws_of(augment, number, seed)).float()
        return of.mean(0), of.var(0) / number

    true, error = mean(PROTOCOL, 0)
    for other in (Augmentation(3, True, 15), Augmentation(4, False, 15), Augmentation(4, True, 10)):
        wrong, its_error = mean(other, 1)
        assert ((wrong - true).abs() / (error + its_error).sqrt()).max() > 8


def test_every_image_is_drawn_by_itself_and_again_from_the_same_seed():
    draws = draws_of(PROTOCOL, 1000)
    assert torch.equal(draws, draws_of(PROTOCOL, 1000)) and not torch.equal(draws, draws_of(PROTOCOL, 1000, seed=1))
    assert len(draws.unique(dim=0)) == 1000
    top, left, flip, degrees = draws.T
    assert top.unique().tolist() == left.unique().tolist() == list(range(9))
    assert 0.4 < flip.mean() < 0.6 and degrees.abs().max() <= 15 and degrees.abs().max() > 14


def test_without_crop_and_rotation_images_are_flipped_or_as_they_were(images):
    augment = Augmentation(flip=True)
    draws = draws_of(augment, len(images))
    expected = torch.where(draws[:, 2].view(-1, 1, 1, 1) > 0, images.flip(-1), images)
    assert torch.equal(augment(images, draws), expected)
    nothing = torch.tensor([[4.0, 4.0, 0.0, 0.0]]).expand(len(images), -1)
    assert torch.equal(PROTOCOL(images, nothing), images)


def test_the_corners_of_a_rotated_crop_are_black(images):
    """Even where the image goes on beyond the crop: the rotation comes after it."""
    white = torch.full_like(images[:1], 255)
    turned = PROTOCOL(white, torch.tensor([[4.0, 4.0, 0.0, 15.0]]))
    assert (turned[0, :, [0, 0, -1, -1], [0, -1, 0, -1]] == 0).all() and (turned[0, :, 16, 16] == 255).all()
