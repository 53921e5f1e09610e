"""Reads words with the model beside it: python read.py PICTURE ... (needs onnxruntime, numpy, Pillow)."""

import json
import os
import sys
from pathlib import Path

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
import onnxruntime
from PIL import Image, ImageOps

PLAIN = ("1", "L", "P", "RGB", "CMYK", "YCbCr")


class Reader:
    """A model file of this package; all that it needs to know stands in the file."""

    def __init__(self, path, threads=1):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads, options.log_severity_level = threads, 3
        self.session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        told = json.loads(self.session.get_modelmeta().custom_metadata_map["ocr_distillery"])
        self.spec, self.characters = told["image"], told["answers"]["characters"]

    def canvas(self, picture):
        """A picture as the float32 canvas [C,H,W] that the model was trained on."""
        spec, (w, h), height, width = self.spec, picture.size, self.spec["height"], self.spec["width"]
        wide = width if spec["fit"] == "stretch" else max(1, min(width, round(w * height / h)))
        picture = picture.convert("L" if spec["channels"] == "grey" else "RGB")
        picture = picture.resize((wide, height), Image.Resampling[spec["resample"].upper()])
        pixels = np.atleast_3d(np.asarray(picture)).transpose(2, 0, 1)
        out = np.full((len(pixels), height, width), spec["pad"], np.float32)
        out[:, :, :wide] = pixels[::-1] if spec["channels"] == "bgr" else pixels
        return (out / 255 - np.float32(spec["mean"])) / np.float32(spec["std"])

    def opened(self, file):
        """A picture of a file, upright; grey ones are decoded as grey, which is quicker."""
        picture = Image.open(file)
        if picture.mode not in PLAIN or "transparency" in picture.info or getattr(picture, "is_animated", 0):
            raise ValueError(f"mode {picture.mode}: only opaque pictures of 8 bits and one frame are read")
        if self.spec["channels"] == "grey":
            picture.draft("L", picture.size)
        return ImageOps.exif_transpose(picture)

    def text(self, picture):
        """What a picture says: the best class of every step, repeats merged, blanks (class 0) dropped."""
        (logits,) = self.session.run(["logits"], {"images": self.canvas(picture)[None]})
        best = np.asarray(logits)[0].argmax(-1)
        return "".join(self.characters[i - 1] for i in best[(best != 0) & (np.diff(best, prepend=0) != 0)])


if __name__ == "__main__":
    reader = Reader(next(Path(__file__).parent.glob("model*.onnx")))
    for name in sys.argv[1:] or sys.exit(__doc__):
        try:
            print(name, reader.text(reader.opened(name)), sep="\t")
        except (OSError, ValueError) as error:
            print(f"{name}: not read: {error}", file=sys.stderr)
