"""Trains a character n-gram model on words, for `decoder=beam decoder.ngram=FILE`.

    python -m train.ngram words=words.txt order=4 out=words.ngram
    python -m train.ngram words=text.txt order=6 checkpoint=runs/first/best out=text.ngram
    python -m train.ngram words=words.txt charset=94 out=words94.ngram json=true

A word counts as often as it stands in the text; how it is smoothed is told in `train.kneserney`. The model
knows one charset: that of a model folder, or one by name.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from shards import config
from shards.errors import BadSettings
from shards.progress import Reporter, run
from train import kneserney, modelfolder, wordlist
from train.charset import Charset


@dataclass
class Settings:
    """What is learned from, and where it goes."""

    words: str = ""  # a UTF-8 text or list; words stand between blanks and line ends
    out: str = ""  # the file that is written
    order: int = 4  # symbols of the longest n-gram
    charset: str = "36"  # 36 (caseless), 62 or 94 characters
    checkpoint: str = ""  # a model folder, whose charset then wins over charset=
    json: bool = False  # print the result as JSON on the last line

    def __post_init__(self) -> None:
        for name in ("words", "out"):
            if not getattr(self, name):
                raise BadSettings(
                    f"{name}= is required: python -m train.ngram words=words.txt out=words.ngram"
                )
        if Path(self.out).is_dir():
            raise BadSettings(f"out={self.out}: a folder stands there; give a file, as words.ngram")


def _charset(settings: Settings) -> Charset:
    if not settings.checkpoint:
        return Charset.named(settings.charset)
    task = modelfolder.load(settings.checkpoint).task
    if not isinstance(found := getattr(task, "charset", None), Charset):
        raise BadSettings(f"checkpoint={settings.checkpoint}: a model without a charset reads no words")
    return found


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "ngram", argv)
    report = Reporter("train.ngram", settings.json)
    charset = _charset(settings)
    report.header(words=settings.words, order=settings.order, characters=charset.size - 1)
    words = wordlist.read(settings.words)
    model, lost = kneserney.fit(words, charset, settings.order)
    kneserney.save(model, settings.out)
    counts = [len(order.keys) for order in model.orders]
    report.table("n-grams", ["length", "different"], [list(row) for row in enumerate(counts, 1)])
    if lost:
        report.say(f"left out: {lost} of {len(words)} words that the charset cannot spell")
    then = f"checkpoint=MODEL data.root=DIR decoder=beam decoder.ngram={settings.out}"
    report.done(
        f"python -m train.evaluation {then}",
        words=len(words) - lost, left_out=lost, ngrams=counts, out=settings.out,
    )  # fmt: skip


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
