"""Whatever happens to a folder of shards: nothing crashes, no sample is lost or changed unsaid, `verify`
names the file, and the stage that made the folder mends it.
"""

import io
import shutil
from collections import Counter
from contextlib import redirect_stdout, suppress
from dataclasses import asdict, replace
from pathlib import Path
from random import Random

import numpy as np
import pytest
from PIL import Image

from ingest import shard
from shards import lookup, manifest, unpack, verify, written
from shards.augment import Augment, Settings
from shards.errors import BadData
from shards.image import ImageSpec
from shards.loader import Loader
from shards.pack import sha256_of
from shards.plan import Plan
from shards.read import Shards
from tests.shards.faults import FAULTS
from tests.shards.tar_faults import ABSOLUTE

ROWS, PER_SHARD, REJECTED = 19, 7, (2, 16)
SPEC = ImageSpec()
THOUSAND = 1000
STRANGE = {"climbed", "strange"}
LATE = ("flip_in_image_body", "cut_tar", "empty_tar", "swapped_tars", "lost_shard")
REFUSED, NAMED, HARMLESS = OUTCOMES = "refused", "damaged samples named", "harmless"


class Targets:
    """A double for a task's targets."""

    def __init__(self, records):
        self.records = records

    def to(self, device):
        return self


def engines():
    try:
        import nvidia.dali  # noqa: F401
    except ImportError:
        return ["plain", "auto"]
    return lookup.members("shards.engines")


def quiet(main, *arguments):
    with redirect_stdout(io.StringIO()):
        main([str(argument) for argument in arguments])


def ingest(root: Path, out: Path) -> None:
    quiet(shard.main, "source=folder", f"root={root}", "labels={split}.tsv", "split=train,val", f"out={out}",
          f"rows_per_shard={PER_SHARD}", "workers=1", "max_reject_frac=.5")  # fmt: skip


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def read(shards: Shards, engine: str) -> tuple[dict[int, tuple], dict[int, str]]:
    """uid -> what a training sees of a valid sample; uid -> what is wrong with each of the others."""
    seen, damage = {}, {}
    loader = Loader(shards, Plan(shards.uids, 8, seed=1), SPEC, Targets, Augment(Settings()), 1, engine, 1)
    for batch in loader.batches(0):
        for i, uid in enumerate(batch.uids.tolist()):
            if batch.valid[i]:
                text = shards.text(shards.position(uid))
                seen[uid] = (batch.images[i].numpy().tobytes(), batch.records[i], text)
            elif i in batch.damage:
                damage[uid] = batch.damage[i]
    return seen, damage


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """(raw folder, folder of shards, its files, engine -> what it reads of train)."""
    raw, out = tmp_path_factory.mktemp("raw"), tmp_path_factory.mktemp("whole") / "data"
    for split in ("train", "val"):
        lines = []
        for row in range(ROWS):
            name, seed = f"{split}{row}.{'png' if row % 4 == 1 else 'jpg'}", row + 100 * (split == "val")
            pixels = np.random.default_rng(seed).integers(0, 255, (20, 50, 3), np.uint8)
            Image.fromarray(pixels).save(raw / name)
            lines.append(f"{'lost-' * (row in REJECTED)}{name}\tword {row}")
        (raw / f"{split}.tsv").write_text("\n".join(lines) + "\n")
    ingest(raw, out)
    seen = {engine: read(Shards([out], "train"), engine) for engine in engines()}
    assert all(len(valid) == ROWS - len(REJECTED) and not damage for valid, damage in seen.values())
    quiet(verify.main, out, "near=false")
    return raw, out, snapshot(out), {engine: valid for engine, (valid, _) in seen.items()}


def outcome(root: Path, engine: str, good: dict[int, tuple], changed: list[Path]) -> str:
    """What came of reading a faulty folder."""
    try:
        valid, damage = read(Shards([root], "train"), engine)
    except BadData as error:
        return refused(engine, str(error), changed)
    return reconciled(engine, valid, damage, good)


def reconciled(engine: str, valid: dict[int, tuple], damage: dict[int, str], good: dict[int, tuple]) -> str:
    """Every sample is there, as it was or damaged and named."""
    assert valid.keys() | damage.keys() == good.keys(), f"{engine}: samples are missing"
    assert not valid.keys() & damage.keys()
    for uid, content in valid.items():
        assert content == good[uid], f"{engine}: sample {uid:016x} is another one"
    assert all(f"{uid:016x}" in reason for uid, reason in damage.items())
    return NAMED if damage else HARMLESS


def refused(engine: str, message: str, changed: list[Path]) -> str:
    """The whole folder is refused, by the name of a file."""
    assert any(says(message, path) for path in changed), f"{engine} names no file: {message}"
    return REFUSED


def says(message: str, path: Path) -> bool:
    """Whether a message names a file; a manifest of other shards is named by these, which differ from it."""
    alone = path.name == "manifest.json" and str(path.parent) in message and "manifest" in message
    return str(path) in message or alone


def named(root: Path, changed: list[Path]) -> None:
    """verify ends with exit code 3 and names every file."""
    for folder in (root, root / "train"):
        with pytest.raises(BadData) as stopped:
            quiet(verify.main, folder, "near=false")
        said = str(stopped.value)
        missing = [path.name for path in changed if not says(said, path)]
        assert not missing, f"verify does not name {missing}: {said}"


def unpacked(root: Path, out: Path) -> None:
    """What is unpacked stays in its folder, under the names of rows."""
    before, place = snapshot(root), out / "far/below"
    place.mkdir(parents=True)
    with suppress(BadData):
        quiet(unpack.main, root, "to=folder", "split=train", f"out={place}")
    assert snapshot(root) == before
    assert not [path for path in [*out.parent.glob("*"), *out.rglob("*")] if path.stem in STRANGE]
    assert not [path for path in place.rglob("*") if path.is_symlink()]
    assert not Path(ABSOLUTE).exists()


def suffer(whole, kind: str, seed: int, out: Path) -> Counter[str]:
    """One fault and all that must hold; what came of it, once per engine."""
    raw, sound, files, good = whole
    root = out / "data"
    shutil.copytree(sound, root)
    changed = FAULTS[kind](root / "train", Random(f"{kind} {seed}"))
    after = snapshot(root)
    if after == files:
        return Counter()  # such as the exchange of two equal files
    differ = {name for name in files | after if after.get(name) != files.get(name)}
    assert differ <= {f"train/{path.name}" for path in changed}
    changed = [path for path in changed if f"train/{path.name}" in differ]
    outcomes = Counter(outcome(root, engine, good[engine], changed) for engine in good)
    assert len(outcomes) == 1, f"the engines do not agree: {outcomes}"
    named(root, changed)
    unpacked(root, out)
    ingest(raw, root)
    assert snapshot(root) == files, "ingest.shard does not mend it"
    return outcomes


def suffer_all(whole, kind: str, seeds: range, folder: Path) -> None:
    """Faults of a kind, one after the other; prints how often what came of them."""
    came = Counter()
    for seed in seeds:
        out = folder / f"{seed}"
        out.mkdir()
        came += suffer(whole, kind, seed, out)
        shutil.rmtree(out)
    assert came, "nothing was changed"
    print(f"| {kind.replace('_', ' ')} | {' | '.join(str(came[what]) for what in OUTCOMES)} |")


@pytest.mark.parametrize("kind", FAULTS)
def test_no_fault_goes_unnamed_or_unmended(whole, kind, tmp_path):
    suffer_all(whole, kind, range(3), tmp_path)


@pytest.mark.campaign
@pytest.mark.parametrize("kind", FAULTS)
def test_a_thousand_faults(whole, kind, tmp_path):
    suffer_all(whole, kind, range(3, 3 - -THOUSAND // len(FAULTS)), tmp_path)


@pytest.mark.parametrize("engine", engines())
@pytest.mark.parametrize("kind", LATE)
def test_what_happens_to_tars_after_the_folder_was_opened_is_named_too(whole, kind, engine, tmp_path):
    _, sound, _, good = whole
    shutil.copytree(sound, tmp_path / "data")
    shards = Shards([tmp_path / "data"], "train")
    FAULTS[kind](tmp_path / "data/train", Random(kind))
    assert reconciled(engine, *read(shards, engine), good[engine]) == NAMED


@pytest.mark.parametrize("seed", range(10))
def test_strange_members_that_every_hash_vouches_for_are_never_unpacked_elsewhere(whole, seed, tmp_path):
    root = tmp_path / "data"
    shutil.copytree(whole[1], root)
    (tar,) = FAULTS["strange_header"](root / "train", Random(seed))
    content, sidecar = manifest.load(root / "train"), root / "train" / f"{tar.stem}.json"
    info = manifest.shard_info(sidecar)
    info = replace(info, sha256={**info.sha256, "tar": sha256_of(tar)})
    written.seal(sidecar, asdict(info))
    shards = tuple(info.slim if one.stem == tar.stem else one for one in content.shards)
    manifest.save(root / "train", replace(content, shards=shards))
    quiet(verify.main, root, "near=false")
    unpacked(root, tmp_path)
    assert len(list((tmp_path / "far/below/train").rglob("*.*g"))) == ROWS - len(REJECTED)
