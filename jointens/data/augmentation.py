"""Augment and standardise images on the device: random crop, flip and rotation, drawn for each image.

    images (N, C, H, W), uint8   ── Augmentation ──▶   the same   ── Pixels ──▶   inputs (N, C, H, W), float32

The transformations are those of torchvision's `RandomCrop`, `RandomHorizontalFlip` and `RandomRotation` on one PIL
image after the other. Here a batch is one gather: for every pixel of the result, the index of the pixel of the original
is computed.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pixels:
    """Turn bytes into inputs, `(bytes / 255 − mean) / std`, for each channel (or with one value for all)."""

    mean: tuple[float, ...]
    """Fractions of 255."""
    std: tuple[float, ...]
    """Fractions of 255."""

    def __call__(self, images: Tensor) -> Tensor:
        """Standardise images `(..., C, H, W)`, uint8; returns inputs of the same shape, float32."""
        mean, std = (_byte_values(fractions, images.device) for fractions in (self.mean, self.std))
        return images.float().sub_(mean).div_(std)


@functools.lru_cache  # a copy to a GPU would wait for it in every step
def _byte_values(fractions: tuple[float, ...], device: torch.device) -> Tensor:
    return 255 * torch.tensor(fractions, device=device).view(-1, 1, 1)


@dataclass(frozen=True)
class Augmentation:
    """Random crop, flip and rotation of each image, in this order; pixels from outside are black.

    The crop has the image's own size and is taken from the image with `padding` pixels around it; the horizontal flip
    has probability 1/2; the rotation about the centre is by up to `degrees` to either side, to the nearest pixel. The
    rotation sees only the crop: its corners are black.
    """

    padding: int = 0
    """Pixels."""
    flip: bool = False
    degrees: float = 0.0
    """Degrees, counter-clockwise; less than 90."""

    def draw(self, number: int, generator: torch.Generator) -> Tensor:
        """Draw the transformations of `number` images: top and left of the crop, flip (0 or 1), and degrees.

        Returns:
            `(number, 4)`, float32, on the generator's device; `(padding, padding, 0, 0)` changes nothing.
        """
        uniform = torch.rand(number, 4, generator=generator)
        corner = (uniform[:, :2] * (2 * self.padding + 1)).floor()
        flip = (uniform[:, 2:3] < 0.5).float() * self.flip
        return torch.cat([corner, flip, (2 * uniform[:, 3:] - 1) * self.degrees], dim=1)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """Transform images `(N, C, H, W)` by draws `(N, 4)`; returns `(N, C, H, W)` in channels_last."""
        number, channels, height, width = images.shape
        # The bytes of a pixel are adjacent; behind the last pixel is a black one, for all from outside.
        pixels = images.new_zeros(number, height * width + 1, channels)
        pixels[:, :-1] = images.permute(0, 2, 3, 1).reshape(number, height * width, channels)
        source = self._source_pixels(draws.to(images.device), height, width)  # (N, H·W)
        shown = pixels.gather(1, source.unsqueeze(-1).expand(-1, -1, channels))
        return shown.view(number, height, width, channels).permute(0, 3, 1, 2)

    def _source_pixels(self, draws: Tensor, height: int, width: int) -> Tensor:
        """Compute which pixel of the original each pixel shows, counted row by row; H·W: none, so black. `(N, H·W)`."""
        top, left, flip, degrees = draws.view(-1, 4, 1, 1).unbind(1)  # (N, 1, 1) each
        y = torch.arange(height, device=draws.device).view(1, -1, 1)
        x = torch.arange(width, device=draws.device).view(1, 1, -1)
        if self.degrees:  # back through the rotation, measured from pixel centres
            angle, dy, dx = degrees * (math.pi / 180), y + 0.5 - height / 2, x + 0.5 - width / 2
            y = (angle.sin() * dx + angle.cos() * dy + height / 2).floor()
            x = (angle.cos() * dx - angle.sin() * dy + width / 2).floor()
        outside = (y < 0) | (y >= height) | (x < 0) | (x >= width)  # of the crop
        x = torch.where(flip > 0, width - 1 - x, x) + left - self.padding
        y = y + top - self.padding
        outside = outside | (y < 0) | (y >= height) | (x < 0) | (x >= width)  # of the image
        return torch.where(outside, height * width, y * width + x).long().flatten(1)
