"""IAM handwriting: words or lines cut from forms, split by writer.

python -m ingest.shard source=iam root=DIR split=train,val,test out=DIR
python -m ingest.shard source=iam root=DIR level=lines split_file={split}.uttlist split=train,test out=DIR

    xml/a01-000u.xml                                one file to a form; xml_data/ is the same
    words/a01/a01-000u/a01-000u-00-00.png           form, form, line, word
    lines/a01/a01-000u/a01-000u-00.png
    words.txt lines.txt                             instead of the XML, with labels=ascii (`ingest.formlists`)

`split_file` takes the official lists, of forms, lines or words. Without one a seeded hash of the writer gives
about 80 % of the writers to train, 10 % to val and 10 % to test, so that none stands on two sides; lists of
plain text name no writers, and need a split_file. Whether a line was segmented well (ok, err) is kept as the
record's `kind`. Texts are raw.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from ingest import exclusions, formlists, forms, lexicon
from ingest.labels import decoded_lines
from ingest.listing import existing, image_at, relative
from ingest.sources import Reject
from ingest.trees import Folder
from shards.errors import BadData, BadSettings
from shards.lookup import unknown
from shards.sample import Meta, Record, Sample, Word
from shards.written import digest

GIVES = "handwritten words or lines"
EXPECTS = "xml/ and words/ or lines/"
LICENCE = "restricted: research use; images, crops and shards are not to be passed on"
LEVELS, SEGMENTATIONS = ("words", "lines"), ("all", "ok")
XML = ("xml", "xml_data")
SPLIT = "{split}"
ID = re.compile(r"[a-z][0-9]{2}-[0-9]{3}[a-z]?(?:-[0-9]+){0,2}")


@dataclass(frozen=True)
class Settings:
    """What a sample is, and who decides in which split it stands."""

    level: str = "words"  # words or lines
    labels: str = "xml"  # what tells the texts: xml, or ascii = words.txt or lines.txt
    split_file: str = ""  # a list below root of ids of forms, lines or words, {split} in it = the split
    seed: int = 0  # of the split by writer, where no split_file is given
    segmentation: str = "all"  # all; ok: rows whose line was not segmented well are left out, counted
    entities: int = 1  # how often &quot; and the like are decoded: 2 where a file says &amp;quot; for a quote


@dataclass(frozen=True, slots=True)
class Row:
    """A word or a line: where it was found, its form and writer ("": unknown), and what is said of it; None:
    nothing.
    """

    id: str
    form: str
    writer: str
    piece: forms.Piece | None


class Source:
    """One row per word or line: form after form, in the order of its XML, then images that it does not name;
    ids of the split's list that nothing has come last. Both are rejected.
    """

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        for name, known in (("level", LEVELS), ("segmentation", SEGMENTATIONS), ("labels", LABELS)):
            if getattr(settings, name) not in known:
                raise BadSettings(unknown(name, getattr(settings, name), list(known)))
        if settings.entities < 1:
            raise BadSettings(f"entities={settings.entities}: texts are decoded at least once")
        if settings.labels == "ascii" and (settings.entities > 1 or not settings.split_file):
            raise BadSettings(
                f"labels=ascii: {settings.level}.txt holds no entities and names no writers to split by; "
                "give split_file=FILE, and no entities"
            )
        base = existing(root)
        self.folder, self.policy = Folder(base / settings.level), settings.segmentation
        rows = _rows(base, settings)
        if settings.split_file:
            self.rows = _listed(
                rows, base / relative(settings.split_file.replace(SPLIT, split), "split_file")
            )
            made = f"listed in {settings.split_file}"
        else:
            self.rows = _seeded(rows, settings.seed, split)
            made = f"writers by seed {settings.seed}"
        self.per_split = not settings.split_file or SPLIT in settings.split_file
        self.notes = [_summary(self.rows, settings.segmentation, made)]
        self.options: dict[str, object] = {
            "level": settings.level,
            **({} if settings.labels == "xml" else {"labels": settings.labels}),
            "segmentation": settings.segmentation,
            "split": "listed" if settings.split_file else made,
            "listing": digest([_facts(row) for row in self.rows]),
        }

    def __len__(self) -> int:
        return len(self.rows)

    def read(self, row: int) -> Sample:
        """The image as published with its raw text; Reject: missing_label, missing_image, excluded, or an
        image that cannot be stored.
        """
        one = self.rows[row]
        if one.piece is None or not one.piece.text:
            raise Reject("missing_label", one.id, "no text for it")
        flag = f"segmentation {one.piece.segmentation}"
        if self.policy == "ok" and one.piece.segmentation == "err":
            raise Reject(exclusions.REASON, one.id, flag)
        image = image_at(self.folder, f"{one.form.split('-')[0]}/{one.form}/{one.id}.png", one.id, "")
        meta = Meta(group=f"iam/{one.writer or one.form}", writer=one.writer or None, kind=flag)
        record = Record((Word(one.piece.text),), image.size, one.id, meta, transcoded=image.transcoded)
        return Sample(image.image, image.suffix, record)


def _rows(base: Path, settings: Settings) -> list[Row]:
    """Everything that has a text or an image, by form."""
    if not (base / settings.level).is_dir():
        raise BadData(
            f"root={base}: no IAM {settings.level}; expected xml/ (or xml_data/) and {settings.level}/"
        )
    told = LABELS[settings.labels](base, settings)
    groups = [group for group in (base / settings.level).iterdir() if group.is_dir()]
    images = {place.name: place for group in groups for place in group.iterdir() if place.is_dir()}
    rows: list[Row] = []
    for name in sorted(told.keys() | images.keys()):
        form = told.get(name, forms.Form(name, name, (), ()))
        pieces: tuple[forms.Piece, ...] = getattr(form, settings.level)
        known = {piece.id for piece in pieces}
        rows += [Row(piece.id, name, form.writer, piece) for piece in pieces]
        stems = sorted(_stems(images[name], ".png")) if name in images else []
        rows += [Row(stem, name, form.writer, None) for stem in stems if stem not in known]
    return rows


def _xml(base: Path, settings: Settings) -> dict[str, forms.Form]:
    folder = next((base / name for name in XML if (base / name).is_dir()), None)
    if folder is None:
        raise BadData(
            f"root={base}: no IAM {settings.level}; expected xml/ (or xml_data/) and {settings.level}/; "
            f"labels=ascii reads {settings.level}.txt instead"
        )
    return {stem: forms.read(folder / f"{stem}.xml", settings.entities) for stem in _stems(folder, ".xml")}


def _stems(folder: Path, suffix: str) -> list[str]:
    return [file.stem for file in folder.iterdir() if file.suffix == suffix]


def _ascii(base: Path, settings: Settings) -> dict[str, forms.Form]:
    return formlists.read(base / f"{settings.level}.txt", settings.level)


LABELS = {"xml": _xml, "ascii": _ascii}  # what tells the texts -> its forms, by their ids


def _seeded(rows: Iterable[Row], seed: int, split: str) -> list[Row]:
    if split not in lexicon.SPLITS:
        raise BadSettings(f"{unknown('split', split, list(lexicon.SPLITS))}; split_file=FILE takes others")
    return [row for row in rows if lexicon.split_of(f"iam/{seed}/{row.writer}") == split]


def _listed(rows: Iterable[Row], file: Path) -> list[Row]:
    """The rows that a list names by their own id, their line's or their form's."""
    wanted: dict[str, None] = {}
    for number, line in enumerate(decoded_lines(file), 1):
        name = line.rstrip("\r\n")
        if name and not ID.fullmatch(name):
            raise BadData(f"{file}:{number}: expected the id of a form, a line or a word: {name[:200]!r}")
        wanted.update({name: None} if name else {})
    found, met = [], set()
    for row in rows:
        names = {row.form, row.id.rpartition("-")[0], row.id} & wanted.keys()
        met |= names
        found += [row] if names else []
    return found + [Row(name, name, name, None) for name in wanted if name not in met]


def _facts(row: Row) -> list[str | None]:
    said = (row.piece.text, row.piece.segmentation) if row.piece else (None, None)
    return [row.id, row.writer, *said]


def _summary(rows: list[Row], policy: str, made: str) -> str:
    told = [row for row in rows if row.piece]
    badly = sum(row.piece.segmentation == "err" for row in told if row.piece)
    counts = f"{len(told)} texts of {len({row.form for row in told})} forms"
    writers = len({row.writer for row in told})
    kept = "kept, as their kind says" if policy == "all" else "left out"
    by = f" by {writers} writers" if all(row.writer for row in told) else ""
    return f"{counts}{by}, {made}; {badly} with segmentation err, {kept}"
