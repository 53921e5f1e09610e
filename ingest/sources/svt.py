"""Street View Text: words cut from photos of shop fronts, with the official split.

python -m ingest.shard source=svt root=DIR split=train,test out=DIR

    svt1/train.xml  svt1/test.xml       boxes and tags; paths in them begin here
    svt1/img/14_03.jpg                  the photos

Crops are made here, in the order of the XML, which is that of the standard 647 test crops. Tags are in
capitals. Only some words of a photo are tagged, so the photos are no detection set.
"""

from dataclasses import dataclass

from ingest import tagged
from ingest.listing import existing
from ingest.trees import Folder
from shards.errors import BadData, BadSettings
from shards.lookup import unknown

GIVES = "words"
EXPECTS = "train.xml, test.xml and img/ in svt1/"
LICENCE = "none stated (research use; images and shards are not to be passed on)"
OFFICIAL = {"train": 257, "test": 647}  # words, of 100 and 249 photos


@dataclass(frozen=True)
class Settings:
    """The release leaves nothing to choose."""


class Source(tagged.Words):
    """One row per tagged word of the split's XML; see `ingest.tagged`."""

    def __init__(self, settings: Settings, root: str, split: str) -> None:
        if split not in OFFICIAL:
            raise BadSettings(unknown("split", split, list(OFFICIAL)))
        tree, name = Folder(existing(root)), f"{split}.xml"
        folders = tree.holding(name)
        if len(folders) != 1:
            found = ", ".join(tree.place(folder) for folder in folders) or "none"
            raise BadData(f"root={root}: one folder with {name} is needed there, found: {found}")
        self.official = OFFICIAL[split]
        super().__init__(tree.path / folders[0] / name, f"svt/{split}")
