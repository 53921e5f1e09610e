"""Task: find the words of a photograph as regions of a map, each told as the smallest rectangle around it.

A cell at a quarter of the canvas answers two logits: how much of it lies in the kernel of a word, and how
near the word's outline is (`train.textmaps`). Their difference, made steep, is a map of yes and no that can
be learnt (differentiable binarisation, Liao et al. 2020): loss = 5 x balanced cross-entropy of the kernels,
the three hardest cells elsewhere for each of theirs, 1 x Dice of the binary map, 10 x L1 of the border within
the grown words. Reading needs the kernels alone. They are less thin than the paper's (r = 0.6, not 0.4),
whose maps are as large as the canvas: targets of ICDAR2015 at 736x1280, decoded, reach an H-mean of 0.99
against 0.93. Letters: N samples, L cells, h w rows and columns of them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from shards.errors import BadSettings
from shards.geometry import rectangle
from shards.image import ImageSpec
from shards.sample import Record, Word
from shards.typed import check_ranges
from train import finding, textmaps
from train.binarisation import binary, dice
from train.models import Output
from train.regions import Regions
from train.tasks import Read

STRIDE = 4  # pixels to a cell
FINER = 4  # times as fine the kernels are read, between the centres of cells
HARD = 3  # cells without text for each with text
FEW = 0.01  # share of cells taken for text where there is less: pictures without words teach too

settle, joined = finding.settle, finding.joined


@dataclass(frozen=True, slots=True)
class Settings(finding.Settings):
    """What is answered and how it is learnt."""

    shrink: float = 0.6  # r of the kernels: a square's has about that share of its sides, a long word's r^2
    level: float = 0.5  # of a kernel, from which a cell belongs to a word; fainter words teach nothing
    grow: float = 1.0  # share of what shrinking took that is given back to a word found
    text: float = 5.0  # weight of the loss of kernels
    binary: float = 1.0  # weight of the loss of the binary map
    border: float = 10.0  # weight of the loss of borders

    def __post_init__(self) -> None:
        finding.Settings.__post_init__(self)
        weights = {name: (0, math.inf) for name in ("grow", "text", "binary", "border")}
        check_ranges(self, "task.", shrink=(0.1, 0.95), level=(0.05, 0.95), **weights)


@dataclass(frozen=True, slots=True)
class Targets:
    """Maps [N,L]: kernel and border float, inside (the grown words, where borders are learnt) and taught (the
    other cells are nobody's) bool; words float [N], how many there are to be found.
    """

    kernel: Tensor
    border: Tensor
    inside: Tensor
    taught: Tensor
    words: Tensor

    def to(self, device: torch.device | str) -> "Targets":
        """The same on another device."""
        moved = (self.kernel, self.border, self.inside, self.taught, self.words)
        return Targets(*(t.to(device, non_blocking=True) for t in moved))


class Task(finding.Task):
    """See train.tasks; channels: kernel and border."""

    def __init__(self, settings: Settings, image: ImageSpec) -> None:
        super().__init__(settings, image, 2)
        self.grid = (image.height // STRIDE, image.width // STRIDE)

    def encode(self, records: Sequence[Record]) -> Targets:
        """Words as they stand on the canvas; where one is not to be read, or too small, nothing is learnt,
        nor beyond an edge.
        """
        found, shape = finding.words_of(records), (len(records), *self.grid)
        kernel, border = np.zeros(shape, np.float32), np.full(shape, textmaps.LEAST, np.float32)
        inside, taught = np.zeros(shape, bool), np.zeros(shape, bool)
        words = []
        for n, (one, edge) in enumerate(zip(found, finding.edges(records, self.image), strict=True)):
            maps = [whole[n, :, : edge // STRIDE] for whole in (kernel, border, inside, taught)]
            maps[-1][:] = True
            words.append(sum(self._drawn(word, *maps) for word in one))
        maps = [torch.from_numpy(one).flatten(1) for one in (kernel, border, inside, taught)]
        return Targets(*maps, words=torch.tensor(words, dtype=torch.float32))

    def _drawn(
        self, word: Word, kernel: np.ndarray, border: np.ndarray, inside: np.ndarray, taught: np.ndarray
    ) -> bool:
        """Adds a word to the maps [h,w] of its picture; whether it is to be found."""
        assert word.polygon is not None
        corners = np.array(word.polygon) / STRIDE
        distance = textmaps.inset(corners, self.settings.shrink)
        place = textmaps.around(corners, max(0.5, distance), kernel.shape)
        deep = textmaps.within(corners, place)
        shown = textmaps.kernel(deep, distance)
        if not finding.counts(word) or shown.max(initial=0.0) < self.settings.level:
            taught[place] &= deep <= -0.5
            return False
        np.maximum(kernel[place], shown, out=kernel[place])
        np.maximum(border[place], textmaps.border(deep, distance), out=border[place])
        inside[place] |= deep > -distance
        return True

    def loss(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The loss [N] over each sample's own cells, and its parts: text, binary, border."""
        self._same_grid(output)
        with torch.autocast(output.logits.device.type, enabled=False):
            text, border = output.logits.float().unbind(-1)
            terms = {
                "text": _balanced(text, targets),
                "binary": _apart(binary(text.sigmoid(), border.sigmoid()), targets),
                "border": _mean((border.sigmoid() - targets.border).abs(), targets.inside & targets.taught),
            }
            weights = {name: getattr(self.settings, name) for name in terms}
            task = torch.stack([weights[name] * value for name, value in terms.items()]).sum(0)
            return {"task": task, **terms, "words": targets.words}

    def decode(self, output: Output) -> list[tuple[Read, ...]]:
        """The words found on each canvas, surest first, those at least as sure as `floor`."""
        self._same_grid(output)
        maps = output.logits[..., 0].detach().float().sigmoid().reshape(-1, 1, *self.grid)
        maps = functional.interpolate(maps, scale_factor=FINER, mode="bilinear")
        return [self._words(one) for one in maps[:, 0].cpu().numpy()]

    def merged(self, outputs: Sequence[Output]) -> list[tuple[Read, ...]]:
        """The words on the mean of the maps that were answered at several scales."""
        maps, rows = [], self.grid[0] * FINER
        for output in outputs:
            ((h, w),) = output.grids
            own = output.logits[..., 0].detach().float().sigmoid().reshape(-1, 1, h, w)
            maps.append(functional.interpolate(own, (rows, round(w * rows / h)), mode="bilinear")[:, 0])
        width = min(one.shape[2] for one in maps)
        mean = torch.stack([one[..., :width] for one in maps]).mean(0)
        return [self._words(one) for one in mean.cpu().numpy()]

    def _words(self, kernel: np.ndarray) -> tuple[Read, ...]:
        s = self.settings
        regions = Regions.of(kernel >= s.level)
        sizes = regions.sizes()
        scores = regions.sums(kernel) / sizes
        kept = np.flatnonzero((scores >= s.floor) & (sizes >= FINER))
        kept = kept[np.argsort(-scores[kept], kind="stable")][: s.most]
        return tuple(
            Read(None, self._place(regions.ends_of(which)), score=float(scores[which]))
            for which in kept.tolist()
        )

    def _place(self, points: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
        """The word whose kernel has these cells of the finer map: four corners on the canvas, clockwise."""
        s = self.settings
        corners = textmaps.grown(np.array(rectangle(points)), s.shrink, s.grow, 0.5)
        corners = np.roll(corners, -int(corners.sum(1).argmin()), 0) * (STRIDE / FINER)
        return tuple((x, y) for x, y in corners.tolist())

    def _same_grid(self, output: Output) -> None:
        if output.grids != (self.grid,):
            raise BadSettings(
                f"task=maps learns one grid of {self.grid[0]}x{self.grid[1]} cells, this model answers "
                f"{' and '.join(f'{h}x{w}' for h, w in output.grids) or 'none'}: use model=db"
            )


def _balanced(logits: Tensor, targets: Targets) -> Tensor:
    """Cross-entropy [N] of the cells that kernels touch and of the hardest others, a few for each."""
    losses = functional.binary_cross_entropy_with_logits(logits, targets.kernel, reduction="none")
    text = targets.taught & (targets.kernel > 0)
    empty = targets.taught & (targets.kernel == 0)
    count, least = text.sum(1), math.ceil(FEW * logits.shape[1])
    chosen = (HARD * count.clamp(min=least)).minimum(empty.sum(1))
    hardest = torch.where(empty, losses, 0.0).sort(dim=1, descending=True, stable=True).values
    rank = torch.arange(logits.shape[1], device=logits.device)
    hard = torch.where(rank < chosen[:, None], hardest, 0.0)
    return (torch.where(text, losses, 0.0) + hard).sum(1) / (count + chosen).clamp(min=1)


def _apart(found: Tensor, targets: Targets) -> Tensor:
    """1 - Dice [N] of the targets' binary map and the answer's, where anything is learnt."""
    aim = (targets.taught & (targets.kernel > targets.border)).float()
    return dice(torch.where(targets.taught, found, 0.0), aim)


def _mean(values: Tensor, where: Tensor) -> Tensor:
    """The mean [N] of values [N,L] where it is said, 0 where that is nowhere."""
    return torch.where(where, values, 0.0).sum(1) / where.sum(1).clamp(min=1)
