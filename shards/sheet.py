"""Contact sheets: a seeded sample of a split as small pictures with their words, and its augmented views."""

import io
from dataclasses import dataclass

import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from shards import keyed, page
from shards.augment import Augment
from shards.engines.plain import decode
from shards.errors import BadData
from shards.image import ImageSpec
from shards.loader import Loader
from shards.plan import Plan, part_of
from shards.read import Shards
from shards.sample import Record, Word

CROP, SCENE = (320, 64), (640, 640)  # the most that a picture on the page measures, pixels
WORDS = 8  # of a scene, named above its views
COLOURED = ImageSpec(channels="rgb")
PLAIN_SMALL = 64 * 320  # pixels up to which a picture is kept without loss if that is no larger


@dataclass(frozen=True, slots=True)
class Card:
    """One sample on the page: its markup, or what is damaged about it."""

    uid: str
    picture: Markup
    caption: Markup
    scene: bool = False
    damage: str = ""


def chosen(shards: Shards, n: int, seed: int) -> np.ndarray:
    """n positions drawn by hash: the same ones on any day, and the first k of n are those of n=k."""
    return np.argsort(keyed.hashed(keyed.word("sheet"), seed, shards.uids), kind="stable")[:n]


def cards(shards: Shards, n: int, seed: int) -> list[Card]:
    """The cards of n samples."""
    return [_card(shards, int(position)) for position in chosen(shards, n, seed)]


def _card(shards: Shards, position: int) -> Card:
    uid = f"{int(shards.uids[position]):016x}"
    try:
        record = shards.record(position)
        picture = decode(shards.image(position), COLOURED)
    except BadData as error:
        return Card(uid, Markup(), page.visible(shards.text(position) or ""), damage=str(error))
    scene = any(word.polygon for word in record.words) or len(record.words) != 1
    picture.thumbnail(SCENE if scene else CROP)
    uri = _encoded(picture)
    where = f"{record.origin} · {record.size[0]}x{record.size[1]}"
    if scene:
        legible = sum(word.legible for word in record.words)
        caption = f"words: {len(record.words)}, legible: {legible} · {where}"
        return Card(uid, _overlay(uri, record), escape(caption), scene=True)
    shown = Markup('<img src="{}" width="{}" height="{}" alt="" title="{}">')
    return Card(uid, shown.format(uri, *_at_least(picture.size), f"{uid} · {where}"), told(record.words[0]))


def told(word: Word) -> Markup:
    """A word's text as the page shows it."""
    if word.text is None:
        return Markup('<span class="note">no text</span>')
    text = page.visible(word.text) if word.text else Markup('<span class="note">empty</span>')
    return text if word.legible else text + Markup(' <span class="note">illegible</span>')


def _at_least(size: tuple[int, int]) -> tuple[int, int]:
    """The size shown: tiny crops are enlarged to a height of 32."""
    scale = max(1.0, 32 / size[1])
    return min(CROP[0], round(size[0] * scale)), round(size[1] * scale)


def _encoded(picture: Image.Image) -> Markup:
    """As JPEG; small pictures as PNG where that takes no more bytes."""
    picture = picture if picture.mode in ("L", "RGB") else picture.convert("RGB")
    kinds = ("jpeg", "png") if picture.width * picture.height <= PLAIN_SMALL else ("jpeg",)
    made = []
    for kind in kinds:
        file = io.BytesIO()
        picture.save(file, kind, **({"quality": 82} if kind == "jpeg" else {}))
        made.append((len(file.getvalue()), kind, file.getvalue()))
    _, kind, data = min(made)
    return page.data_uri(data, kind)


def _overlay(uri: Markup, record: Record) -> Markup:
    """The picture with its polygons, in source pixels; the first edge is heavy: there reading begins."""
    width, height = record.size
    unit = width / SCENE[0]  # of the page's pixels
    words = Markup().join(_outlined(word, unit) for word in record.words if word.polygon)
    return Markup(
        '<svg class="scene" viewBox="0 0 {0} {1}" style="aspect-ratio: {0} / {1}">'
        '<image href="{2}" width="{0}" height="{1}" preserveAspectRatio="none"/>{3}</svg>'
    ).format(width, height, uri, words)


def _outlined(word: Word, unit: float) -> Markup:
    points = list(word.polygon or ())
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    (x0, y0), (x1, y1) = points[:2]
    left, top, bottom = min(x for x, _ in points), min(y for _, y in points), max(y for _, y in points)
    size = min(max(0.8 * (bottom - top), 6 * unit), 11 * unit)
    name = page.spelled(word.text) if word.text is not None else "no text"
    label = Markup('<text x="{:.1f}" y="{:.1f}" font-size="{:.1f}">{}</text>').format(
        left, max(top - 2 * unit, size), size, name
    )
    return Markup(
        '<g class="{}"><title>{}</title><polygon points="{}"/><path d="M{:.1f} {:.1f}L{:.1f} {:.1f}"/>{}</g>'
    ).format("read" if word.legible else "ignored", name, path, x0, y0, x1, y1, label if word.legible else "")


def views(
    shards: Shards, n: int, seed: int, count: int, image: ImageSpec, augment: Augment
) -> list[tuple[str, list[Markup]]]:
    """(text, pictures of views 0 to count - 1) of n samples, as a model with this image spec sees them."""
    positions = chosen(shards, n, seed)
    loader = Loader(shards, Plan(shards.uids, len(positions)), image, _Unseen, augment, threads=1)
    shown = [loader.batch(part_of(positions, len(positions)), view) for view in range(count)]
    levels = [((v.images * image.std + image.mean) * 255).round().byte().numpy() for v in shown]
    sound = np.flatnonzero(shown[0].valid.numpy()) if shown else range(0)
    edges = image.edge(loader.spans[positions])
    words = [(shards.text(int(position)) or "").split("\n") for position in positions]
    return [
        (" ".join(words[i][:WORDS]), [_canvas(view[i, ..., : edges[i]], image) for view in levels])
        for i in sound
    ]


class _Unseen:
    """Targets of nobody."""

    def __init__(self, records: object) -> None:
        pass

    def to(self, device: object) -> "_Unseen":
        """Nothing moves."""
        return self


def _canvas(pixels: np.ndarray, image: ImageSpec) -> Markup:
    """A canvas [C,H,W] as a picture."""
    upright = pixels[::-1] if image.channels == "bgr" else pixels
    flat = upright[0] if len(upright) == 1 else np.ascontiguousarray(upright.transpose(1, 2, 0))
    return _encoded(Image.fromarray(flat))
