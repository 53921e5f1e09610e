"""Words drawn into pictures: outlines in the colour of what became of each, texts above if there are any."""

from collections.abc import Sequence
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from shards.sample import Word

# of what `train.faults` says, and of words that nobody has judged
COLOURS = {
    "found": (40, 200, 90), "missed": (235, 60, 60), "split": (235, 60, 60), "merged": (235, 60, 60),
    "ignored": (150, 150, 150), "right": (70, 140, 255), "false": (255, 170, 0), "fragment": (255, 170, 0),
    "merge": (255, 170, 0), "": (255, 60, 120),
}  # fmt: skip
WIDTH = 2  # pixels of an outline
SIZES = (11, 28)  # pixels of letters: the least and the most


def drawn(picture: Image.Image, words: Sequence[Word], marks: Sequence[str]) -> Image.Image:
    """A copy with the polygon of each word, and its text; words without a polygon are left out."""
    out = picture.convert("RGB")
    pen = ImageDraw.Draw(out)
    for word, mark in zip(words, marks, strict=True):
        if word.polygon is None:
            continue
        points = [(float(x), float(y)) for x, y in word.polygon]
        pen.line([*points, points[0]], COLOURS[mark], WIDTH, "curve")
        if word.text:
            _write(pen, points, word.text, COLOURS[mark])
    return out


def _write(
    pen: ImageDraw.ImageDraw, points: list[tuple[float, float]], text: str, colour: tuple[int, int, int]
) -> None:
    """Text on a plate above a polygon, inside the picture where that is possible."""
    left, top = min(x for x, _ in points), min(y for _, y in points)
    size = round(min(max(0.5 * (max(y for _, y in points) - top), SIZES[0]), SIZES[1]))
    place = (max(0.0, left), max(0.0, top - size - 3))
    pen.rectangle(pen.textbbox(place, text, font=_font(size)), fill=colour)
    pen.text(place, text, fill=(0, 0, 0), font=_font(size))


@cache
def _font(size: int) -> ImageFont.ImageFont | ImageFont.FreeTypeFont:
    return ImageFont.load_default(size)
