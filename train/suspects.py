"""Labels that may be wrong: words that a good model reads otherwise, the surest reading first.

The model should not have learnt these labels by heart: take one trained on other data, or on other parts
of these (Northcutt et al. 2021, confident learning). Its confidence is told best after `train.calibrate`.
Labels that it cannot spell are none, nor are damaged samples. A cell that a spreadsheet would take for a
formula begins with an apostrophe.
"""

import csv
import os
from pathlib import Path

from shards.read import Shards
from train.verdicts import Judged

COLUMNS = ("uid", "origin", "label", "reading", "confidence")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # what a spreadsheet would take for one


def write(path: Path, judged: Judged, shards: Shards) -> int:
    """Writes the CSV (UTF-8); returns how many words it names."""
    score = judged.score
    wrong = [row for row in score.rows if not score.right[row[0]] and row[0] not in judged.damage]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with open(part, "w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(COLUMNS)
        for uid, label, reading, confidence in sorted(wrong, key=lambda row: (-row[3], row[0])):
            origin = shards.record(shards.position(uid)).origin
            cells = (_plain(text) for text in (origin, label or "", reading))
            table.writerow([f"{uid:016x}", *cells, f"{confidence:.4f}"])
    os.replace(part, path)
    return len(wrong)


def _plain(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(FORMULA) else text
