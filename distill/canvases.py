"""What the teacher saw, for a few samples of each data set: hashes that stand in the card, pictures beside.

Where pixels come from the same engine, library and device, a student's canvases must be equal to the bit.
Where they do not, only `cache.tolerance` accepts a difference, which is measured against the pictures.
Letters: K views, C channels, H W pixels.
"""

import copy
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import safetensors.torch
import torch
from torch import Tensor

from distill import fingerprint
from distill.fingerprint import Card
from shards import manifest
from shards.errors import BadData
from shards.loader import Loader
from shards.plan import part_of
from shards.read import Shards

SAMPLES = 16  # of each data set
NAME = "canvases.safetensors"
DAMAGED = "damaged"


def sample(shards: Shards, count: int = SAMPLES) -> np.ndarray:
    """Positions of `count` samples of each data set, evenly spaced."""
    picked, start = [], 0
    for content in shards.manifests:
        some = min(count, content.written)
        picked.append(start + np.linspace(0, content.written - 1, some).astype(np.int64))
        start += content.written
    return np.concatenate(picked)


def seen(loader: Loader, positions: np.ndarray, views: int) -> dict[str, list[Tensor | None]]:
    """uid -> for each view the canvas [C,H,W] that a model sees, None where it cannot be read."""
    whole = copy.copy(loader)  # the same engine, over all samples
    whole.positions = np.arange(len(loader.shards))
    part = part_of(positions, len(positions))
    out: dict[str, list[Tensor | None]] = {f"{int(uid):016x}": [] for uid in loader.shards.uids[positions]}
    for view in range(views):
        batch = whole.batch(part, view)
        edges = loader.image.edge(batch.widths.numpy()).tolist()
        for row, (uid, image) in enumerate(zip(batch.uids.tolist(), batch.images.cpu().float(), strict=True)):
            own = image[..., : edges[row]].contiguous()  # whatever width its neighbours give it
            out[f"{uid:016x}"].append(None if row in batch.damage else own)
    return out


def hashes(canvases: dict[str, list[Tensor | None]]) -> dict[str, list[str]]:
    """uid -> for each view, the first 16 hex digits of the sha256 of the float32 canvas, or `damaged`."""
    return {uid: [_hash(image) for image in images] for uid, images in canvases.items()}


def pictures(canvases: dict[str, list[Tensor | None]]) -> bytes:
    """The file of the canvases: uid -> fp16 [K,C,H,W], damaged ones NaN."""
    out = {}
    for uid, images in canvases.items():
        shape = next((image.shape for image in images if image is not None), torch.Size())
        nothing = torch.full(shape, float("nan"))
        out[uid] = torch.stack([nothing if image is None else image for image in images]).half()
    return safetensors.torch.save(out)


def check(root: Path, card: Card, loaders: Sequence[Loader], tolerance: float) -> None:
    """Refuses canvases that differ from those the teacher saw; see the top of this file.

    tolerance: the largest mean difference of a canvas that is accepted, in grey levels of 255.
    """
    for loader in loaders:
        here = {content.dataset_id: card.data[content.key].views for content in loader.shards.manifests
                if content.key in card.data}  # fmt: skip
        for identity, views in here.items():
            uids = [uid for uid in card.canvases if manifest.split_uid(int(uid, 16))[0] == identity]
            positions = np.array([loader.shards.position(int(uid, 16)) for uid in uids], np.int64)
            now = seen(loader, positions, views)
            if fingerprint.engine_of(loader) == card.engine:
                fingerprint.check(root, card, {"canvases": {**card.canvases, **hashes(now)}})
            else:
                _near(root, card, loader, now, tolerance)


def _near(
    root: Path, card: Card, loader: Loader, now: dict[str, list[Tensor | None]], tolerance: float
) -> None:
    """Compares with the pictures of what the teacher saw, where the hashes differ.

    What could not be read on either side teaches nothing, and is not compared.
    """
    path = root / NAME
    if not path.exists() or hashlib.sha256(path.read_bytes()).hexdigest() != card.pictures:
        raise BadData(f"{path}: missing or damaged, so canvases of another engine cannot be compared")
    kept, worst, where = safetensors.torch.load(path.read_bytes()), 0.0, ""
    for uid, images in now.items():
        for view, image in enumerate(images):
            known = card.canvases[uid][view]
            if image is None or known in (DAMAGED, _hash(image)):
                continue
            levels = 255 * loader.image.std * float((kept[uid][view].float() - image).abs().mean())
            if levels > worst:
                worst, where = levels, f"sample {uid}, view {view}"
    if worst > tolerance:
        raise BadData(
            f"{root}: engine is {card.engine} in the cache, {fingerprint.engine_of(loader)} here, and "
            f"canvases differ by up to {worst:.2f} grey levels on average ({where}); take that engine, or "
            f"accept it with cache.tolerance={max(worst * 1.05, 0.01):.2f}"
        )


def _hash(image: Tensor | None) -> str:
    return DAMAGED if image is None else hashlib.sha256(image.numpy().tobytes()).hexdigest()[:16]
