"""Lists of words in files of text, and how a charset spells them."""

from collections.abc import Sequence
from pathlib import Path

from shards.errors import BadData
from train.charset import Charset

NAMED = 5  # words that an error shows


def read(path: str | Path) -> list[str]:
    """The words of a UTF-8 text, between blanks and line ends, in order; BadData where there is none."""
    try:
        words = Path(path).read_bytes().removeprefix(b"\xef\xbb\xbf").decode().split()
    except OSError as error:
        raise BadData(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError as error:
        raise BadData(f"{path}: not UTF-8 ({error.reason} at byte {error.start})") from None
    if not words:
        raise BadData(f"{path}: no word in it")
    return words


def spelled(words: Sequence[str], charset: Charset, path: str | Path) -> list[tuple[int, ...]]:
    """The words as symbols, each once, in order; BadData counts and names those that cannot be spelled."""
    lost = [word for word in words if charset.unspellable(word)]
    if lost:
        without = "".join(dict.fromkeys(c for word in lost for c in charset.unspellable(word)))
        raise BadData(
            f"{path}: {len(lost)} of {len(words)} words cannot be spelled: {', '.join(lost[:NAMED])}"
            f"{', ...' if len(lost) > NAMED else ''} (no class for {without[:40]!r}); take them off the list"
        )
    return list(dict.fromkeys(tuple(charset.encode(word)) for word in words))
