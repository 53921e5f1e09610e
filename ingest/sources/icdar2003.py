"""ICDAR 2003 robust reading: words cut from photos of scenes, with the official split.

python -m ingest.shard source=icdar2003 root=DIR split=train,test out=DIR

    SceneTrialTrain/words.xml       SceneTrialTest/words.xml; paths in it begin where it stands
    SceneTrialTrain/apanar_06.08.2002/IMG_1261.JPG

root: the folder above these. Boxes have decimal coordinates. The usual test set is 860 of the 1,107 test
words. ICDAR 2013's test split holds photos of both splits again: what trains on these words has no score
there unless the words of such photos are left out; `shards.verify` of both sets finds them.
"""

from dataclasses import dataclass

from ingest import tagged
from ingest.listing import existing
from shards.errors import BadData, BadSettings
from shards.lookup import unknown

GIVES = "words"
EXPECTS = "SceneTrialTrain/words.xml and SceneTrialTest/words.xml beside their photos"
LICENCE = "none stated (research use; images and shards are not to be passed on)"
FOLDERS = {"train": "SceneTrialTrain", "test": "SceneTrialTest"}
OFFICIAL = {"train": 1156, "test": 1107}  # words, of 250 and 249 photos


@dataclass(frozen=True)
class Settings:
    """The release leaves nothing to choose."""


class Source(tagged.Words):
    """One row per tagged word of the split's words.xml; see `ingest.tagged`."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        if split not in FOLDERS:
            raise BadSettings(unknown("split", split, list(FOLDERS)))
        file = existing(root) / FOLDERS[split] / "words.xml"
        if not file.is_file():
            raise BadData(f"root={root}: no ICDAR 2003 {split} words; expected {FOLDERS[split]}/words.xml")
        self.official = OFFICIAL[split]
        super().__init__(file, f"icdar2003/{split}")
