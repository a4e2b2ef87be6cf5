"""Images on the device: from bytes to inputs, and random crop, flip and rotation, drawn for each image by itself.

    images (N, C, H, W), uint8   ── Augmentation ──▶   the same   ── Pixels ──▶   inputs (N, C, H, W), float32

The transformations are those that torchvision's `RandomCrop`, `RandomHorizontalFlip` and `RandomRotation` make of one
PIL image after the other. Here a whole batch is one gather: for every pixel of the result it is computed which pixel
of the original it shows.
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Pixels:
    """How bytes become inputs: as shares of 255, less `mean`, over `std`, for each channel (or one for all)."""

    mean: tuple[float, ...]
    """Shares of 255."""
    std: tuple[float, ...]
    """Shares of 255."""

    def __call__(self, images: Tensor) -> Tensor:
        """images `(..., C, H, W)`, uint8 → inputs of the same shape, float32."""
        mean, std = (_bytes_of_channels(of, images.device) for of in (self.mean, self.std))
        return images.float().sub_(mean).div_(std)


@functools.lru_cache  # a copy to a GPU would wait for it in every step
def _bytes_of_channels(shares: tuple[float, ...], device: torch.device) -> Tensor:
    return 255 * torch.tensor(shares, device=device).view(-1, 1, 1)


@dataclass(frozen=True)
class Augmentation:
    """Random transformations of an image, one after the other, drawn for each image; what comes from outside is black.

    A crop of the image's own size out of the image with `padding` pixels around it; with even chances a horizontal
    flip; a rotation about the centre by up to `degrees` to either side, with the nearest pixel. The rotation sees no
    more than the crop does: its corners are black.
    """

    padding: int = 0
    """Pixels."""
    flip: bool = False
    degrees: float = 0.0
    """Degrees, counter-clockwise; less than 90."""

    def draw(self, number: int, chance: torch.Generator) -> Tensor:
        """What happens to each of `number` images: rows of top and left of the crop, flip (0 or 1), and degrees.

        Returns:
            `(number, 4)`, float32, on the generator's device. An image is left as it is by `(padding, padding, 0, 0)`.
        """
        uniform = torch.rand(number, 4, generator=chance)
        corner = (uniform[:, :2] * (2 * self.padding + 1)).floor()
        flip = (uniform[:, 2:3] < 0.5).float() * self.flip
        return torch.cat([corner, flip, (2 * uniform[:, 3:] - 1) * self.degrees], dim=1)

    def __call__(self, images: Tensor, draws: Tensor) -> Tensor:
        """images `(N, C, H, W)`, draws `(N, 4)` → the transformed images, `(N, C, H, W)` in channels_last."""
        number, channels, height, width = images.shape
        # A pixel's bytes side by side, and behind the last pixel a black one, for all that comes from outside.
        pixels = images.new_zeros(number, height * width + 1, channels)
        pixels[:, :-1] = images.permute(0, 2, 3, 1).reshape(number, height * width, channels)
        source = self._sources(draws.to(images.device), height, width)  # (N, H·W)
        shown = pixels.gather(1, source.unsqueeze(-1).expand(-1, -1, channels))
        return shown.view(number, height, width, channels).permute(0, 3, 1, 2)

    def _sources(self, draws: Tensor, height: int, width: int) -> Tensor:
        """The pixel of the original that each pixel shows, counted row by row; H·W: none, so black. `(N, H·W)`."""
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
