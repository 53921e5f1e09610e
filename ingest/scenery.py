"""What the words of a scene stand in: a photograph, or a made-up place of clouds, walls, panels and clutter.

The clutter has strokes, grids and rings of the kind that detectors take for letters; none of it is text.
"""

import math

import numpy as np
from PIL import Image, ImageDraw

from ingest.backgrounds import background

Colour = tuple[int, int, int]
Numbers = np.random.Generator


def picture(size: tuple[int, int], photos: list, rng: Numbers, strength: float) -> np.ndarray:
    """float32 [height, width, 3] in grey levels."""
    if photos and rng.random() < 0.85:
        image, most = _view(photos[int(rng.integers(len(photos)))], size, rng), 4
    else:
        image, most = _place(size, rng, strength), 12
    draw = ImageDraw.Draw(image)
    for _ in range(int(rng.integers(most + 1))):
        CLUTTER[int(rng.integers(len(CLUTTER)))](draw, image, rng, strength)
    return np.asarray(image, np.float32)


def _view(photo: Image.Image, size: tuple[int, int], rng: Numbers) -> Image.Image:
    """A piece of a photograph in the shape of the picture, shrunk or magnified to its size."""
    width, height = size
    part = min(photo.width / width, photo.height / height) * math.sqrt(rng.uniform(0.15, 1))
    wide, tall = width * part, height * part
    x, y = rng.uniform(0, photo.width - wide), rng.uniform(0, photo.height - tall)
    return photo.resize(size, Image.Resampling.BILINEAR, box=(x, y, x + wide, y + tall), reducing_gap=2.0)


def _place(size: tuple[int, int], rng: Numbers, strength: float) -> Image.Image:
    """Clouds of all sizes in two or three surfaces that meet in straight edges."""
    image = _clouds(size, rng)
    width, height = size
    for _ in range(int(rng.integers(3))):
        turn, centre = rng.uniform(0, 2 * math.pi), rng.uniform(0.2, 0.8, 2) * size
        ahead, aside = np.array([math.cos(turn), math.sin(turn)]), np.array([-math.sin(turn), math.cos(turn)])
        far = width + height
        edge = [centre + aside * far, centre - aside * far]
        mask = Image.new("1", size)
        corners = [*edge, *(point + ahead * far for point in reversed(edge))]
        ImageDraw.Draw(mask).polygon([tuple(map(float, corner)) for corner in corners], fill=1)
        image.paste(_clouds(size, rng), mask=mask)
    return image


def _clouds(size: tuple[int, int], rng: Numbers) -> Image.Image:
    """Noise of octaves, coarse or fine, between three related colours."""
    width, height = size
    fade, field = rng.uniform(0.35, 1.3), np.zeros((height, width), np.float32)
    for octave in range(1, 7):
        cells = min(height, 2**octave), min(width, round(2**octave * width / height))
        noise = rng.standard_normal(cells, np.float32) * np.float32(2 ** (-fade * octave))
        field += np.asarray(Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC))
    field -= field.min()
    level = (field * np.float32(255 / max(1e-6, float(field.max())))).astype(np.uint8)
    base, spread = rng.uniform(20, 235), rng.uniform(8, 60)
    stops = base + rng.normal(0, 14, 3) + rng.normal(0, spread, (3, 1)) + rng.normal(0, 6, (3, 3))
    table = [np.interp(np.arange(256), (0, 128, 255), stops[:, channel]) for channel in range(3)]
    lookup = np.clip(np.stack(table, axis=1), 0, 255).astype(np.uint8)
    return Image.fromarray(lookup[level])


def _colour(rng: Numbers) -> Colour:
    grey = rng.uniform(0, 255)
    red, green, blue = (round(v) for v in np.clip(grey + rng.normal(0, 22, 3), 0, 255))
    return red, green, blue


def _somewhere(image: Image.Image, least: float, most: float, rng: Numbers) -> tuple[int, ...]:
    """A box whose sides are shares of the picture's, partly outside it with some chance."""
    width, height = (np.array(image.size) * rng.uniform(least, most, 2)).astype(int) + 3
    x, y = rng.uniform(-0.3, 1, 2) * image.size
    return int(x), int(y), int(x) + int(width), int(y) + int(height)


def _panel(draw: ImageDraw.ImageDraw, image: Image.Image, rng: Numbers, strength: float) -> None:
    """A door, a board, a window pane: a textured rectangle, often with a frame."""
    left, top, right, bottom = _somewhere(image, 0.1, 0.5, rng)
    ground = background(bottom - top, right - left, 3, [], rng, strength)
    image.paste(Image.fromarray(ground.astype(np.uint8)), (left, top))
    if rng.random() < 0.5:
        draw.rectangle((left, top, right, bottom), outline=_colour(rng), width=int(rng.integers(1, 6)))


def _lines(draw: ImageDraw.ImageDraw, image: Image.Image, rng: Numbers, strength: float) -> None:
    """Cables, gutters, edges: parallel lines."""
    ends, colour, thick = rng.uniform(-0.2, 1.2, (2, 2)) * image.size, _colour(rng), int(rng.integers(1, 7))
    step = rng.uniform(-0.15, 0.15, 2) * image.size
    for place in range(int(rng.integers(1, 7))):
        (x, y), (u, v) = ends + step * place
        draw.line((x, y, u, v), fill=colour, width=thick)


def _rings(draw: ImageDraw.ImageDraw, image: Image.Image, rng: Numbers, strength: float) -> None:
    """Wheels, lamps, plates: one ellipse within another, or a row of them."""
    left, top, right, bottom = _somewhere(image, 0.02, 0.25, rng)
    colour, rim, thick = _colour(rng), _colour(rng), int(rng.integers(1, 8))
    for place in range(int(rng.integers(1, 5))):
        shift = place * (right - left + thick)
        fill = colour if rng.random() < 0.5 else None
        draw.ellipse((left + shift, top, right + shift, bottom), fill=fill, outline=rim, width=thick)


def _grid(draw: ImageDraw.ImageDraw, image: Image.Image, rng: Numbers, strength: float) -> None:
    """Windows, tiles, fences."""
    left, top, right, bottom = _somewhere(image, 0.15, 0.6, rng)
    columns, rows, thick, colour = (
        *(int(v) for v in rng.integers(1, 12, 2)),
        int(rng.integers(1, 5)),
        _colour(rng),
    )
    for x in np.linspace(left, right, columns + 1):
        draw.line((x, top, x, bottom), fill=colour, width=thick)
    for y in np.linspace(top, bottom, rows + 1):
        draw.line((left, y, right, y), fill=colour, width=thick)


def _strokes(draw: ImageDraw.ImageDraw, image: Image.Image, rng: Numbers, strength: float) -> None:
    """Twigs, cracks, ornaments: a row of bent strokes as tall and as thick as letters, but with no form."""
    left, top, _, bottom = _somewhere(image, 0.03, 0.12, rng)
    tall, colour = max(4, bottom - top), _colour(rng)
    thick = max(1, round(tall * rng.uniform(0.05, 0.2)))
    slope = rng.normal(0, 0.2)
    for place in range(int(rng.integers(2, 9))):
        x = left + place * tall * rng.uniform(0.4, 1)
        points = rng.uniform(0, 1, (int(rng.integers(2, 5)), 2)) * tall + (x, top + (x - left) * slope)
        draw.line([tuple(map(float, point)) for point in points], fill=colour, width=thick, joint="curve")


CLUTTER = (_panel, _panel, _lines, _rings, _grid, _strokes, _strokes)
