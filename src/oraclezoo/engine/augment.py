"""Batch augmentation on the device: geometry, stroke and gray-value changes, JPEG, cutout."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from oraclezoo.engine.ink import DITHER, blurred, in_one_bit, shaded, thickened, toned
from oraclezoo.engine.jpeg import EDGE, Jpeg
from oraclezoo.recipe.sections import Augment

BEST_QUALITY = 95


def standardize(images: Tensor, mean: float, std: float) -> Tensor:
    """Return uint8 ``(N, H, W)`` as float32 ``(N, 1, H, W)``: ``(x / 255 - mean) / std``."""
    return images.unsqueeze(1).to(torch.float32).mul_(1 / (255 * std)).sub_(mean / std)


class Augmenter:
    """Augments uint8 images ``(N, H, W)`` and standardizes them to float32 ``(N, 1, H, W)``.

    Shift, rotation, zoom, margin, shear, mirroring and elastic deformation are combined into one
    sampling grid, so each image is interpolated only once; pixels outside the image are black (raw
    value 0). Stroke thickness, gamma, lighting and sharpness are changed next
    (:mod:`oraclezoo.engine.ink`). A random fraction of the images is then reduced to 1 bit, a
    random fraction is compressed as JPEG, and cutout fills a square with the mean gray value.

    :meth:`reseed` seeds one random generator for each equal part of a batch, so the images of
    stacked runs are augmented in one pass with the same result as in separate passes. An option
    that is off draws no random numbers, so switching it off does not affect the other options.
    """

    def __init__(
        self, recipe: Augment, *, flip: bool, mean: float, std: float, device: torch.device
    ) -> None:
        self.recipe, self.flip = recipe, flip
        self.mean, self.std = mean, std
        self.device = device
        self.generators = [torch.Generator(device=device)]
        self.compressor = Jpeg(device) if recipe.jpeg else None
        self.resamples = flip or any(
            (
                recipe.shift,
                recipe.rotate,
                recipe.scale,
                recipe.shear,
                recipe.elastic,
                recipe.margin,
            )
        )

    def reseed(self, *seeds: int) -> None:
        """Seed the generators for the next batch, which consists of one equal part per seed."""
        while len(self.generators) < len(seeds):
            self.generators.append(torch.Generator(device=self.device))
        del self.generators[len(seeds) :]
        for generator, seed in zip(self.generators, seeds, strict=True):
            generator.manual_seed(seed)

    def __call__(self, images: Tensor) -> Tensor:
        """Return augmented uint8 images ``(N, H, W)`` as float32 ``(N, 1, H, W)``."""
        batch = standardize(images, self.mean, self.std)
        if self.resamples:
            black = -self.mean / self.std
            grid = self._grid(batch)
            mode = self.recipe.interpolation
            batch = F.grid_sample(batch - black, grid, mode, align_corners=False).add_(black)
        batch = self._inked(batch)
        if self.compressor is not None:
            batch = self._compressed(batch, self.compressor)
        if self.recipe.cutout:
            batch = batch.masked_fill_(self._holes(batch), 0.0)
        return batch

    def _uniform(self, *shape: int, images: int) -> Tensor:
        """Draw uniformly from [0, 1); dimension ``images`` of ``shape`` is the batch dimension."""
        sizes = list(shape)
        sizes[images] //= len(self.generators)
        parts = [torch.rand(*sizes, device=self.device, generator=g) for g in self.generators]
        return parts[0] if len(parts) == 1 else torch.cat(parts, images)

    def _even(self, *shape: int, images: int) -> Tensor:
        """Draw uniformly from [-1, 1)."""
        return self._uniform(*shape, images=images).mul_(2).sub_(1)

    def _grid(self, batch: Tensor) -> Tensor:
        """Return the sampling grid ``(N, H, W, 2)`` for grid_sample, coordinates in [-1, 1]."""
        recipe = self.recipe
        count, _, height, width = batch.shape
        draws = self._even(6, count, images=1)
        angle = draws[0] * math.radians(recipe.rotate)
        zoom_x, zoom_y = 1 + draws[1] * recipe.scale, 1 + draws[2] * recipe.scale
        shear = draws[3] * recipe.shear
        if self.flip:
            coin = self._uniform(count, images=0)
            zoom_x = torch.where(coin < 0.5, -zoom_x, zoom_x)
        if recipe.margin:
            wider = 1 / (1 - 2 * recipe.margin * self._uniform(count, images=0))
            zoom_x, zoom_y = zoom_x * wider, zoom_y * wider
        cos, sin = angle.cos(), angle.sin()
        # output -> input: rotation after shear after zoom, x to the right and y down
        rows = torch.stack(
            (
                torch.stack((cos * zoom_x, (cos * shear - sin) * zoom_y, draws[4]), 1),
                torch.stack((sin * zoom_x, (sin * shear + cos) * zoom_y, draws[5]), 1),
            ),
            1,
        )
        rows[:, 0, 2] *= 2 * recipe.shift / width
        rows[:, 1, 2] *= 2 * recipe.shift / height
        grid = F.affine_grid(rows, [count, 1, height, width], align_corners=False)
        if recipe.elastic:
            edge = recipe.elastic_grid
            points = self._even(count, 2, edge, edge, images=0)
            points[:, 0] *= 2 * recipe.elastic / width
            points[:, 1] *= 2 * recipe.elastic / height
            field = F.interpolate(points, (height, width), mode="bicubic", align_corners=True)
            grid = grid + field.permute(0, 2, 3, 1)
        return grid

    def _inked(self, batch: Tensor) -> Tensor:
        """Randomly change stroke thickness, gray values and sharpness, if these options are on."""
        recipe, count = self.recipe, len(batch)
        if recipe.thickness:
            batch = thickened(batch, self._even(count, images=0) * recipe.thickness)
        if recipe.gamma or recipe.shade:
            grays = batch * self.std + self.mean
            if recipe.gamma:
                grays = toned(grays, self._even(count, images=0) * recipe.gamma)
            if recipe.shade:
                loss, turn = self._uniform(2, count, images=1)
                grays = shaded(grays, loss * recipe.shade, turn * (2 * math.pi))
            batch = (grays - self.mean) / self.std
        if recipe.blur:
            batch = blurred(batch, self._uniform(count, images=0) * recipe.blur)
        if recipe.binary:
            draws = self._uniform(4, count, images=1)
            dither = (2 * draws[1] - 1).clamp(min=0)
            first = (draws[2:] * DITHER).long().T
            bits = in_one_bit(batch * self.std + self.mean, dither, first)
            chosen = (draws[0] < recipe.binary).view(-1, 1, 1, 1)
            batch = torch.where(chosen, (bits - self.mean) / self.std, batch)
        return batch

    def _compressed(self, batch: Tensor, compressor: Jpeg) -> Tensor:
        """Apply JPEG compression of random quality to a random fraction of the batch.

        The block grid has a random offset, as in a cropped JPEG file.
        """
        recipe, scale = self.recipe, 255 * self.std
        draws = self._uniform(4, len(batch), images=1)
        quality = (
            recipe.jpeg_quality + draws[0] * (BEST_QUALITY + 1 - recipe.jpeg_quality)
        ).floor()
        first = (draws[2:] * EDGE).long().T
        lossy = standardize(
            compressor(batch * scale + 255 * self.mean, quality, first)[:, 0], self.mean, self.std
        )
        return torch.where((draws[1] < recipe.jpeg).view(-1, 1, 1, 1), lossy, batch)

    def _holes(self, batch: Tensor) -> Tensor:
        """Return a mask that is True on a random square of side ``cutout`` inside each image."""
        count, _, height, width = batch.shape
        edge = min(self.recipe.cutout, height, width)
        draws = self._uniform(2, count, images=1)
        top = (draws[0] * (height - edge + 1)).long().view(-1, 1)
        left = (draws[1] * (width - edge + 1)).long().view(-1, 1)
        y = torch.arange(height, device=batch.device)
        x = torch.arange(width, device=batch.device)
        in_y = (y >= top) & (y < top + edge)
        in_x = (x >= left) & (x < left + edge)
        return (in_y[:, :, None] & in_x[:, None, :]).unsqueeze(1)
