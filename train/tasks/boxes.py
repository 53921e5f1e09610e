"""Task: find the words of a photograph as upright boxes, or as quads of four corners.

A cell answers one logit, that a word is found from here, and the distances from its centre to the word's
left, top, right and bottom side, in strides of its level, as logarithms; with `quads` also where the word's
corners stand in that box, as shares of its width and height. There are no anchors, and no objectness beside
the logit. Loss: binary cross-entropy against the overlap that a cell should reach (quality focal with
`focal`, Li et al. 2020), complete IoU for the sides, smooth L1 for the corners. Illegible words are places
where nothing is learnt. Letters: N samples, L cells, M words, H W canvas pixels.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from shards.geometry import rectangle
from shards.image import ImageSpec
from shards.sample import Record, Word
from shards.typed import check_ranges
from train import finding
from train.assignment import Assigned, assign
from train.ciou import ciou
from train.models import Output
from train.nms import nms, nms_quads
from train.tasks import Read

FURTHEST = 6.0  # strides to a side, as a logarithm: 403, more than any canvas has
CANDIDATES = 1000  # cells that suppression looks at

settle, joined = finding.settle, finding.joined


@dataclass(frozen=True, slots=True)
class Settings(finding.Settings):
    """What is answered and how it is learnt."""

    quads: bool = False  # four corners of each word, not its upright box alone
    overlap: float = 0.5  # intersection over union from which the less sure of two words is left out
    side: float = 5.0  # weight of the sides' loss beside that of the scores
    corner: float = 2.0  # weight of the corners' loss, with quads
    focal: float = 0.0  # exponent that leaves out what is answered well already, 0 = plain cross-entropy
    smoothing: float = 0.0  # share by which aims are drawn towards a half

    def __post_init__(self) -> None:
        finding.Settings.__post_init__(self)
        check_ranges(
            self, "task.", overlap=(0, 1), side=(0, math.inf), corner=(0, math.inf), focal=(0, 10),
            smoothing=(0, 0.5),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Targets:
    """Words on the canvas, filled up to the most of a sample: boxes float [N,M,4], corners float [N,M,4,2],
    real bool [N,M] (to be found), ignored bool [N,M] (neither found nor missed).
    """

    boxes: Tensor
    corners: Tensor
    real: Tensor
    ignored: Tensor

    def to(self, device: torch.device | str) -> "Targets":
        """The same on another device."""
        moved = (self.boxes, self.corners, self.real, self.ignored)
        return Targets(*(t.to(device, non_blocking=True) for t in moved))


class Task(finding.Task):
    """See train.tasks; channels: 5 terms of a box, 13 with quads."""

    def __init__(self, settings: Settings, image: ImageSpec) -> None:
        super().__init__(settings, image, 13 if settings.quads else 5)
        self.overlap = settings.overlap

    def encode(self, records: Sequence[Record]) -> Targets:
        """Words as they stand on the canvas; each polygon of more than four corners as its tightest box. What
        lies beyond an edge is a place where nothing is learnt, the last of its sample.
        """
        found, edges = finding.words_of(records), finding.edges(records, self.image)
        width, height = self.image.width, self.image.height
        most = max(1, *(len(words) for words in found)) + int(edges.min() < width)
        boxes, corners = np.zeros((len(found), most, 4)), np.zeros((len(found), most, 4, 2))
        real, ignored = (np.zeros((len(found), most), bool) for _ in range(2))
        for n, (words, edge) in enumerate(zip(found, edges.tolist(), strict=True)):
            if words:
                boxes[n, : len(words)] = finding.boxes(words, edge, height)
                corners[n, : len(words)] = [_quad(word) for word in words]
            real[n, : len(words)] = [finding.counts(word) for word in words]
            ignored[n, : len(words)] = ~real[n, : len(words)]
            if edge < width:
                boxes[n, -1], ignored[n, -1] = (edge, 0, width, height), True
        places = torch.from_numpy(boxes).float(), torch.from_numpy(corners).float()
        return Targets(*places, torch.from_numpy(real), torch.from_numpy(ignored))

    def loss(self, output: Output, targets: Targets) -> dict[str, Tensor]:
        """The loss [N] over each sample's own words, and its parts: text, side, corner."""
        with torch.autocast(output.logits.device.type, enabled=False):
            logits = output.logits.float()
            centres, strides = self.cells(output)
            boxes = self.boxes(logits, centres, strides)
            scores = logits[..., 0].detach().sigmoid()
            found = assign(scores, boxes.detach(), centres, strides, targets.boxes, targets.real)
            taught = found.found | ~_within(centres, targets)
            weight = found.aim.sum(1).clamp(min=1.0)
            chosen = found.word[..., None].expand(-1, -1, 4)
            sides = (1 - ciou(boxes, targets.boxes.gather(1, chosen))) * found.aim
            terms = {
                "text": torch.where(taught, self._scored(logits[..., 0], found.aim), 0.0).sum(1) / weight,
                "side": torch.where(found.found, sides, 0.0).sum(1) / weight,
            }
            task = terms["text"] + self.settings.side * terms["side"]
            if self.settings.quads:
                terms["corner"] = self._corners(logits, targets, found).sum(1) / weight
                task = task + self.settings.corner * terms["corner"]
            return {"task": task, **terms, "words": targets.real.float().sum(1)}

    def _scored(self, logits: Tensor, aim: Tensor) -> Tensor:
        """Cross-entropy of each cell's score, [N,L]."""
        s = self.settings
        aim = aim * (1 - s.smoothing) + 0.5 * s.smoothing if s.smoothing else aim
        loss = functional.binary_cross_entropy_with_logits(logits, aim, reduction="none")
        return loss * (aim - logits.sigmoid()).abs().pow(s.focal) if s.focal else loss

    def _corners(self, logits: Tensor, targets: Targets, found: Assigned) -> Tensor:
        """Smooth L1 of the corners as shares of the word's own box, [N,L]."""
        boxes, most = targets.boxes, found.word[..., None]
        size = (boxes[..., 2:] - boxes[..., :2]).clamp(min=1.0)
        shares = (targets.corners - boxes[..., None, :2]) / size[..., None, :]
        aim = shares.flatten(2).gather(1, most.expand(-1, -1, 8))
        loss = functional.smooth_l1_loss(logits[..., 5:] + 0.5, aim, reduction="none", beta=0.1).mean(-1)
        return torch.where(found.found, loss * found.aim, 0.0)

    def cells(self, output: Output) -> tuple[Tensor, Tensor]:
        """Centres [L,2] (x, y) and strides [L] of the cells of an answer, canvas pixels."""
        centres, strides = [], []
        for h, w in output.grids:
            stride = self.image.height / h
            y, x = torch.meshgrid(torch.arange(h), torch.arange(w), indexing="ij")
            centres.append((torch.stack([x, y], -1).reshape(-1, 2) + 0.5) * stride)
            strides.append(torch.full((h * w,), stride))
        device = output.logits.device
        return torch.cat(centres).to(device), torch.cat(strides).to(device)

    def boxes(self, logits: Tensor, centres: Tensor, strides: Tensor) -> Tensor:
        """The boxes [N,L,4] that the cells answer, canvas pixels."""
        reach = logits[..., 1:5].clamp(max=FURTHEST).exp() * strides[:, None]
        return torch.cat([centres - reach[..., :2], centres + reach[..., 2:]], -1)

    def decode(self, output: Output) -> list[tuple[Read, ...]]:
        """The words found on each canvas, surest first, those at least as sure as `floor`."""
        logits = output.logits.float()
        centres, strides = self.cells(output)
        boxes = self.boxes(logits, centres, strides)
        return [self._words(*one) for one in zip(logits, boxes, strict=True)]

    def _words(self, logits: Tensor, boxes: Tensor) -> tuple[Read, ...]:
        s = self.settings
        scores = logits[:, 0].sigmoid()
        best = scores.topk(min(CANDIDATES, len(scores)))
        rows = best.indices[best.values >= s.floor]
        scores, boxes = scores[rows], boxes[rows]
        if s.quads:
            shares = logits[rows, 5:].reshape(-1, 4, 2) + 0.5
            quads = boxes[:, None, :2] + shares * (boxes[:, None, 2:] - boxes[:, None, :2])
            kept = nms_quads(quads, scores, s.overlap, s.most)
        else:
            quads = boxes[:, [0, 1, 2, 1, 2, 3, 0, 3]].reshape(-1, 4, 2)
            kept = nms(boxes, scores, s.overlap, s.most)
        found = zip(quads[kept].tolist(), scores[kept].tolist(), strict=True)
        return tuple(Read(None, tuple((x, y) for x, y in quad), score=score) for quad, score in found)


def _quad(word: Word) -> Sequence[tuple[float, float]]:
    assert word.polygon is not None
    return word.polygon if len(word.polygon) == 4 else rectangle(word.polygon)


def _within(centres: Tensor, targets: Targets) -> Tensor:
    """Which cells have their centre in the box of a word that is not to be judged: bool [N,L]."""
    boxes = targets.boxes[:, :, None]
    inside = ((centres >= boxes[..., :2]) & (centres <= boxes[..., 2:])).all(-1)
    return (inside & targets.ignored[..., None]).any(1)
