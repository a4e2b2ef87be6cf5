"""The plain loop for images, as a reference for speed: how the authors' published code trains, step by step.

Every image is made a PIL image and goes through torchvision's random crop, flip and rotation by itself; learners are
called one after the other, each with its softmax; probabilities are averaged with a mask of ones that is drawn on the
host in every step; four losses are fetched in every step; after the epoch comes validation. In float32, images channel
by channel, on the device on which the learners are.

It shares with jointens the split, the initial weights and the order of the images, and nothing of how numbers are
computed. Its crops and angles are torchvision's own draws; without augmentation and dropout both reach the same losses.
"""

from __future__ import annotations

import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn.functional import nll_loss, softmax
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from jointens.data import Augmentation, Pixels, Split


class Images(Dataset):
    """A split as PIL images, transformed one by one."""

    def __init__(self, split: Split, transform: transforms.Compose):
        self.images, self.targets = split.inputs.permute(0, 2, 3, 1).numpy(), split.targets.tolist()  # (N, H, W, 3)
        self.transform = transform

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, row: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.images[row])), self.targets[row]


def transform(pixels: Pixels, augmentation: Augmentation | None = None) -> transforms.Compose:
    """Normalisation, after the random transformations if there are any, as the authors compose them."""
    random = (
        [
            transforms.RandomCrop(32, padding=augmentation.padding),
            transforms.RandomHorizontalFlip(),
            transforms.RandomRotation(augmentation.degrees),
        ]
        if augmentation
        else []
    )
    return transforms.Compose([*random, transforms.ToTensor(), transforms.Normalize(pixels.mean, pixels.std)])


def batches(images: Images, size: int, order: list[int] | None = None) -> DataLoader:
    """A pass over the images, in the given order or as they lie; in this process, as the authors load them."""
    return DataLoader(images, batch_size=size, sampler=order or range(len(images)), num_workers=0)


def forward(learners: list[nn.Module], inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Averaged and single probabilities, `(B, K)` and `(B, M, K)`."""
    single = torch.stack([softmax(learner(inputs), dim=1) for learner in learners], dim=1)
    mask = torch.distributions.Binomial(probs=torch.tensor(1.0)).sample(single.shape[:2]).unsqueeze(2).to(single.device)
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
    device = next(learners[0].parameters()).device
    for inputs, targets in batches:
        inputs, targets = inputs.to(device), targets.to(device)
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
    device = next(learners[0].parameters()).device
    for inputs, targets in batches:
        inputs, targets = inputs.to(device), targets.to(device)
        averaged, single = forward(learners, inputs)
        told = (*losses(averaged, single, targets), (averaged.argmax(-1) == targets).float().mean())
        for name, value in zip(sums, told, strict=True):
            sums[name] += value.item() * len(targets)
        seen += len(targets)
    return {name: value / seen for name, value in sums.items()}
