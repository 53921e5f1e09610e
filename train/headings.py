"""What a task's figures are called where people read them."""

from collections.abc import Container
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Heading:
    """A figure of evaluations by its name, its title, what it is shown times, and with how many decimals."""

    name: str
    title: str
    times: float = 100.0
    digits: int = 2

    def shown(self, value: float) -> str:
        """A value as people read it."""
        return f"{self.times * value:.{self.digits}f}"

    def between(self, low: float, high: float) -> str:
        """An interval as people read it."""
        return f"[{self.shown(low)}, {self.shown(high)}]"


WORDS = (
    Heading("word_acc", "word accuracy, %"), Heading("word_acc_ics", "ignoring case and symbols, %"),
    Heading("one_minus_ned", "1-NED", 1.0, 4), Heading("cer", "CER, %"),
)  # fmt: skip
SCENES = (
    Heading("hmean", "H-mean, %"), Heading("precision", "precision, %"), Heading("recall", "recall, %"),
    Heading("best_hmean", "best H-mean, %"), Heading("map50", "mAP50, %"), Heading("map50_95", "mAP50-95, %"),
    Heading("oracle_hmean", "of perfect boxes, %"),
)  # fmt: skip
END_TO_END = (
    Heading("end_to_end", "end to end, %"), Heading("end_to_end_precision", "its precision, %"),
    Heading("end_to_end_recall", "its recall, %"),
)  # fmt: skip
READ = (
    *END_TO_END,
    Heading("ms_to_find_and_read", "ms to find and read", 1.0),
)  # of scenes, with a recogniser
MAIN = (WORDS[0], SCENES[0])  # what runs are selected and compared by


def main(figures: Container[str]) -> Heading:
    """The one of MAIN that is among figures, by name; where none is, a KeyError."""
    for heading in MAIN:
        if heading.name in figures:
            return heading
    raise KeyError(MAIN[0].name)
