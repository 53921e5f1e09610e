"""What people write today to read words: webdataset, LMDB or files, Pillow, DataLoader."""

import io
from collections.abc import Iterator
from pathlib import Path

import lmdb
import numpy as np
import simplejpeg
import torch
import webdataset
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from shards.read import Shards

SIZE = (100, 32)  # width and height of a canvas
CHARACTERS = "0123456789abcdefghijklmnopqrstuvwxyz"
CLASSES = {character: number for number, character in enumerate(CHARACTERS, 1)}  # 0 is the blank


def bare(images: list[bytes]) -> int:
    """The ceiling: grey pixels by the fastest decoder there is for them, resized, and nothing else."""
    for data in images:
        if data[:2] == b"\xff\xd8":
            pixels = simplejpeg.decode_jpeg(data, "GRAY", fastdct=False, fastupsample=False)
            picture = Image.fromarray(pixels[:, :, 0])
        else:
            picture = Image.open(io.BytesIO(data)).convert("L")
        np.asarray(picture.resize(SIZE, Image.Resampling.BILINEAR))
    return len(images)


def tar_files(shards: Shards) -> list[str]:
    """The tars of a set, as webdataset takes them."""
    return [str(path) for folder in shards.folders for path in sorted(folder.glob("*.tar"))]


def tar_canvases(tars: list[str]) -> int:
    """webdataset + Pillow: a grey canvas of every picture in the tars."""
    pictures = webdataset.WebDataset(tars, shardshuffle=False, select_files=lambda name: name[-5:] != ".json")
    return sum(1 for _ in pictures.decode("pill").to_tuple("jpg;png").map_tuple(canvas))


def tar_batches(tars: list[str], batch: int) -> Iterator[tuple[Tensor, list[str]]]:
    """webdataset + Pillow: batches of normalised pictures and their labels."""
    samples = webdataset.WebDataset(tars, shardshuffle=False).decode("pill").to_tuple("jpg;png", "json")
    yield from samples.map_tuple(normalised, lambda record: record["words"][0]["text"]).batched(batch)


def canvas(picture: Image.Image) -> np.ndarray:
    """uint8 [H,W], grey."""
    return np.asarray(picture.convert("L").resize(SIZE, Image.Resampling.BILINEAR))


def normalised(picture: Image.Image) -> Tensor:
    """float [1,H,W] in -1..1."""
    return (torch.from_numpy(canvas(picture).copy())[None].float() / 255 - 0.5) / 0.5


def unpack(shards: Shards, folder: Path) -> list[tuple[Path, str]]:
    """Every image as a file, in folders of a thousand; (path, label) of each."""
    found = []
    for position in range(len(shards)):
        path = folder / f"{position // 1000:04d}" / f"{position}.img"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(shards.image(position))
        found.append((path, shards.text(position) or ""))
    return found


class Files(Dataset):
    """Pictures that are files, with their labels."""

    def __init__(self, files: list[tuple[Path, str]]) -> None:
        self.files = files

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        path, label = self.files[index]
        return normalised(Image.open(path)), label


class Lmdb(Dataset):
    """Pictures and labels in an LMDB with the usual keys, opened in the process that reads."""

    def __init__(self, shards: Shards, folder: Path) -> None:
        self.folder, self.length, self.reader = str(folder), len(shards), None
        with lmdb.open(self.folder, map_size=1 << 36) as store, store.begin(write=True) as writer:
            for position in range(len(shards)):
                writer.put(b"image-%09d" % (position + 1), shards.image(position))
                writer.put(b"label-%09d" % (position + 1), (shards.text(position) or "").encode())
            writer.put(b"num-samples", str(len(shards)).encode())

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> tuple[Tensor, str]:
        if self.reader is None:
            store = lmdb.open(self.folder, readonly=True, lock=False, readahead=False)
            self.reader = store.begin(buffers=False)
        image, label = (self.reader.get(b"%s-%09d" % (kind, index + 1)) for kind in (b"image", b"label"))
        return normalised(Image.open(io.BytesIO(image))), label.decode()


def batches(data: Dataset, batch: int, workers: int) -> DataLoader:
    """A DataLoader in random order."""
    return DataLoader(
        data,
        batch,
        shuffle=True,
        num_workers=workers,
        collate_fn=_collated,
        pin_memory=torch.cuda.is_available(),
    )


def _collated(items: list[tuple[Tensor, str]]) -> tuple[Tensor, list[str]]:
    return torch.stack([image for image, _ in items]), [label for _, label in items]
