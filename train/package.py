"""One archive to ship: an ONNX file, a short program that reads words with it, the card, licences, checksums.

The program (train/edge/read.py) needs ONNX Runtime, NumPy and Pillow, and nothing of this project. It reads
words greedily, on canvases of one width; for what it cannot do, no archive is made.
"""

import hashlib
import zipfile
from pathlib import Path
from typing import Any

from shards.errors import BadSettings
from train import decoders, frontmatter, modelfolder, sealed
from train.card import card
from train.cardtext import inline

PROGRAM = Path(__file__).with_name("edge") / "read.py"
NEEDED = {"onnxruntime": "MIT", "numpy": "BSD-3-Clause", "Pillow": "MIT-CMU"}  # by the program
READABLE = 0o100644  # a file that all may read
USE = """# {name}: a file for devices

    pip install onnxruntime numpy Pillow
    python read.py PICTURE ...

read.py prints what the word of each picture says; it reads opaque pictures of 8 bits and one frame, and says
so of others. `sha256sum -c sha256sums` checks the files.

Below is the card of the model folder that {name} was made of: figures and commands are that folder's.

"""
BEGUN = (1980, 1, 1, 0, 0, 0)  # the time of every file, so that the same model gives the same bytes


def check(loaded: modelfolder.Loaded) -> None:
    """BadSettings says what the program that travels with a model cannot do."""
    image, task = loaded.task.image, loaded.task
    decoder = decoders.stored(loaded.config.get("decoder")).name
    lacking = [
        what
        for what, is_so in (
            ("it finds words in photographs", task.finds),
            (f"decoder={decoder}, not greedy", decoder != "greedy"),
            (f"image.buckets={image.buckets}", bool(image.buckets)),
            (f"image.min_height={image.min_height}", image.min_height > 0),
            (f"image.polarity={image.polarity}", image.polarity != "as_is"),
            (f"image.fit={image.fit}", image.fit == "letterbox"),
        )
        if is_so
    ]
    if lacking:
        raise BadSettings(
            f"package=: the program that travels with a model reads crops greedily on one canvas: "
            f"{', '.join(lacking)}; ship the file itself and read it by train.predict"
        )


def write(path: Path, model: Path, loaded: modelfolder.Loaded) -> None:
    """The archive of an exported ONNX file."""
    weights = model.read_bytes()
    hashes = {model.name: hashlib.sha256(weights).hexdigest()}
    content = {
        model.name: weights,
        "read.py": PROGRAM.read_bytes(),
        "README.md": (USE.format(name=model.name) + card(loaded.config, loaded.parameters, hashes)).encode(),
        "LICENCES.md": licences(loaded.config).encode(),
    }
    lines = [f"{hashlib.sha256(data).hexdigest()}  {name}\n" for name, data in sorted(content.items())]
    content[sealed.SUMS] = "".join(lines).encode()
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(content.items()):
            told = zipfile.ZipInfo(name, BEGUN)
            told.external_attr = READABLE << 16
            archive.writestr(told, data, zipfile.ZIP_DEFLATED)
    part.replace(path)


def licences(config: dict[str, Any]) -> str:
    """Markdown: under what each part may be used, as far as the model folder tells."""
    lines = ["# Licences", "", "- read.py: Apache-2.0, of OCR Distillery"]
    lines += [f"- {name}, which read.py imports; not in this archive: {by}" for name, by in NEEDED.items()]
    data = frontmatter.licences(config)
    known = "The weights were learnt from:" if data else "What the weights were learnt from is not known."
    lines += ["", known, "", *(f"- {inline(name)}: {inline(by)}" for name, by in data.items())]
    return "\n".join(lines) + "\n"
