"""The best class of every step, repeats merged and blanks dropped; the fastest, and it certifies nothing."""

from dataclasses import dataclass

from train import decode
from train.charset import Charset


@dataclass(frozen=True, slots=True)
class Settings:
    """Greedy has none."""


class Decoder(decode.Greedy):
    """See the seam."""

    def __init__(self, settings: Settings, charset: Charset) -> None:
        """Every member is made from its settings and the charset; greedy reads alike with all."""
