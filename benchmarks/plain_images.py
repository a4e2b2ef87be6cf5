"""The plain loop for images, as a reference for speed: how the authors' published code trains, step by step.

Every image is decoded by PIL and cropped, flipped and rotated by itself; learners are called one after the other, each
with its softmax; probabilities are averaged with a mask of ones that is drawn on the host in every step; four losses
are fetched in every step; after the epoch comes validation. In float32, images channel by channel.

It shares with jointens what decides *which* numbers come out (split, initial weights, order, crops and angles) and
nothing of how they are computed.
"""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import nll_loss, softmax
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms import functional

from jointens.augment import Augmentation, Pixels
from jointens.data import Split


class Images(Dataset):
    """A split as PIL images, transformed one by one: with a row of `draws` for each, or only normalised."""

    def __init__(self, split: Split, pixels: Pixels, augmentation: Augmentation, draws: Tensor | None = None):
        self.images, self.targets = split.inputs.permute(0, 2, 3, 1).numpy(), split.targets.tolist()  # (N, H, W, 3)
        self.pixels, self.augmentation, self.draws = pixels, augmentation, draws

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, place: tuple[int, int]) -> tuple[Tensor, int]:
        row, draw = place  # of the image, and of what happens to it
        picture = Image.fromarray(self.images[row])
        if self.draws is not None:
            top, left, flip, degrees = self.draws[draw].tolist()
            picture = functional.pad(picture, self.augmentation.padding)
            picture = functional.crop(picture, int(top), int(left), *self.images.shape[1:3])
            picture = functional.rotate(functional.hflip(picture) if flip else picture, degrees)
        inputs = functional.normalize(functional.to_tensor(picture), self.pixels.mean, self.pixels.std)
        return inputs, self.targets[row]


def batches(images: Images, size: int, order: list[int] | None = None) -> DataLoader:
    """A pass over the images, in the given order or as they lie; in this process, as the authors load them."""
    places = [(row, draw) for draw, row in enumerate(order or range(len(images)))]
    return DataLoader(images, batch_size=size, sampler=places, num_workers=0)


def forward(learners: list[nn.Module], inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Averaged and single probabilities, `(B, K)` and `(B, M, K)`."""
    single = torch.stack([softmax(learner(inputs), dim=1) for learner in learners], dim=1)
    mask = torch.distributions.Binomial(probs=torch.tensor(1.0)).sample(single.shape[:2]).unsqueeze(2)
    weights = mask / mask.sum(dim=1, keepdim=True)
    return (single * weights).sum(dim=1), single


def losses(averaged: Tensor, single: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Individual loss, diversity and ensemble loss with averaged probabilities."""
    individual = torch.stack([nll_loss(single[:, i].log(), targets) for i in range(single.shape[1])]).mean()
    ensemble = nll_loss(averaged.log(), targets)
    return individual, individual - ensemble, ensemble


def train_epoch(
    learners: list[nn.Module], optimiser: torch.optim.Optimizer, batches: DataLoader, beta: float
) -> dict[str, float]:
    """One pass over the training images; mean losses over the images seen."""
    sums = dict.fromkeys(("objective", "individual", "diversity", "ensemble"), 0.0)
    seen = 0
    for inputs, targets in batches:
        for learner in learners:
            learner.train()
        optimiser.zero_grad()
        individual, diversity, ensemble = losses(*forward(learners, inputs), targets)
        objective = individual - beta * diversity
        objective.backward()
        optimiser.step()
        for name, value in zip(sums, (objective, individual, diversity, ensemble), strict=True):
            sums[name] += value.item() * len(targets)
        seen += len(targets)
    return {name: value / seen for name, value in sums.items()}


@torch.no_grad()
def evaluate(learners: list[nn.Module], batches: DataLoader) -> dict[str, float]:
    """Mean losses and accuracy of the ensemble."""
    for learner in learners:
        learner.eval()
    sums = dict.fromkeys(("individual", "diversity", "ensemble", "accuracy"), 0.0)
    seen = 0
    for inputs, targets in batches:
        averaged, single = forward(learners, inputs)
        told = (*losses(averaged, single, targets), (averaged.argmax(-1) == targets).float().mean())
        for name, value in zip(sums, told, strict=True):
            sums[name] += value.item() * len(targets)
        seen += len(targets)
    return {name: value / seen for name, value in sums.items()}
