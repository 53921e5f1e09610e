"""Raw data in, shards out: out/<split>/ with tars, columns, indexes and, written last, the manifest.

python -m ingest.shard source=rendered out=data/words split=train count=20000
python -m ingest.shard source=icdar2015 root=raw/icdar2015 out=data/icdar2015 split=train,test workers=4
python -m ingest.shard source=folder root=raw/mine split=train,val,test shares=.8,.1,.1 out=data/mine

The same command again resumes a run that was stopped; where one was finished, it checks the hashes of all
shards and writes again what is damaged.
"""

import re
import sys

from ingest.splits import Settings, describe, write
from shards import config, progress
from shards.errors import BadSettings


def main(argv: list[str]) -> None:
    """Shards every split that is named, after all their listings have been read."""
    settings = config.read(Settings, "shard", argv)
    if not settings.split or settings.rows_per_shard < 1 or settings.workers < 0:
        raise BadSettings(
            "split= names at least one split; rows_per_shard is at least 1 and workers at least 0"
        )
    for split in settings.split:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,40}", split):
            raise BadSettings(f"split={split!r}: letters, digits, _ and - only, since it names a folder")
    reporter = progress.Reporter("ingest.shard", as_json=settings.json)
    notes: list[str] = []
    plans = [describe(settings, split, notes) for split in dict.fromkeys(settings.split)]
    reporter.header(source=settings.source.name, out=str(settings.out), licence=plans[0].licence)
    for note in notes:
        reporter.say(note)
    if settings.dry_run:
        reporter.say(str(config.plain(settings)))
        rows = {plan.split: plan.rows for plan in plans}
        reporter.table("would be written", ("split", "rows"), list(rows.items()))
        return reporter.done(rows=rows)
    made = [write(settings, plan, reporter) for plan in plans]
    columns = ("split", "rows", "written", "rejected", "by reason", "shards", "digest")
    rows = [
        (m.split, m.rows, m.written, m.rows - m.written, m.rejected or "", len(m.shards), m.digest[:16])
        for m in made
    ]
    reporter.table(f"{made[0].name} · {made[0].licence}", columns, rows)
    facts = ("rows", "written", "rejected", "digest")
    result = {m.split: {fact: getattr(m, fact) for fact in facts} for m in made}
    reporter.done(f"python -m shards.verify {settings.out}", splits=result)


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
