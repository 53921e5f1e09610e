"""A character n-gram model of words: interpolated modified Kneser-Ney (Chen & Goodman 1998, "An Empirical
Study of Smoothing Techniques for Language Modeling", sections 3 and 5), kept in one file of safetensors.

    p_n(c | h) = (a(hc) - D(a(hc))) / sum_x a(hx) + lambda(h) p_(n-1)(c | h without its first)

a counts at the highest order how often hc was seen, below it the different symbols seen before hc; where h
opens the word, before which nothing else can stand, how often again. D is one of D1, D2, D3+ of that order,
from the numbers of n-grams with a = 1 to 4, or .5, 1, 1.5 where these do not tell; lambda(h) is what the
discounts took. Below the first order every one of V symbols has 1/V. So a character never seen gets 1/V
times the lambdas of its history and of all that this ends with, which is never 0, and the probabilities
after any history sum to 1. V = C symbols: the C - 1 characters and, as symbol 0 in the blank's place, the
end of the word.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import safetensors
import safetensors.numpy

from shards.errors import BadData, BadSettings
from shards.written import canonical, write_bytes
from train.charset import Charset

FORMAT, KEY = 1, "ngram"  # KEY: where the file tells what it is, in JSON
END = 0
FALLBACK = (0.5, 1.0, 1.5)  # discounts, where the counts are too few to tell them


@dataclass(frozen=True, slots=True)
class Order:
    """What is known of n-grams of one length, as numbers in base C + 1, ascending: keys int64 and their share
    after the discount, float64; histories int64 and their lambda.
    """

    keys: np.ndarray
    shares: np.ndarray
    histories: np.ndarray
    lambdas: np.ndarray

    def check(self) -> None:
        """ValueError where the arrays are no model's: ascending keys, each with a share in 0..1."""
        for keys, values in ((self.keys, self.shares), (self.histories, self.lambdas)):
            shaped = keys.ndim == 1 and keys.shape == values.shape and len(keys) > 0
            if not shaped or keys.dtype != np.int64 or not (np.diff(keys) > 0).all():
                raise ValueError("its n-grams are not in order")
            if not ((values >= 0) & (values <= 1)).all():
                raise ValueError("its shares are no probabilities")


class Ngram:
    """The model. A history is an int64: its last `order - 1` symbols in base C + 1, the beginning as C."""

    def __init__(self, charset: Charset, orders: Sequence[Order]) -> None:
        self.charset, self.orders = charset, list(orders)
        self.base = charset.size + 1
        self._span = self.base ** (len(orders) - 1)
        self.start = sum(charset.size * self.base**i for i in range(len(orders) - 1))

    def log_probs(self, histories: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """ln p(symbol | history), float64, of int64 arrays of one shape."""
        found = np.full(symbols.shape, 1.0 / self.charset.size)
        for n, order in enumerate(self.orders):
            short = histories % self.base**n
            share = _looked_up(order.keys, order.shares, short * self.base + symbols, 0.0)
            found = share + _looked_up(order.histories, order.lambdas, short, 1.0) * found
        return np.log(found)

    def after(self, histories: np.ndarray, symbols: np.ndarray) -> np.ndarray:
        """The histories one symbol later."""
        return (histories * self.base + symbols) % self._span

    def log_prob(self, symbols: Sequence[int]) -> float:
        """ln p of a whole word, its end included."""
        history, total = np.array(self.start), 0.0
        for symbol in [*symbols, END]:
            total += float(self.log_probs(history, np.array(symbol)))
            history = self.after(history, np.array(symbol))
        return total


class Fusion:
    """A guide (`train.guided`): alpha ln p of every symbol and of the end, and beta for every character."""

    def __init__(self, model: Ngram, alpha: float, beta: float) -> None:
        self.model, self.alpha, self.beta, self.start = model, alpha, beta, model.start

    def follow(self, states: np.ndarray, symbols: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """See train.guided.Guide."""
        weights = self.alpha * self.model.log_probs(states, symbols) + self.beta
        return self.model.after(states, symbols), weights

    def end(self, states: np.ndarray) -> np.ndarray:
        """See train.guided.Guide."""
        return self.alpha * self.model.log_probs(states, np.full(states.shape, END))


def fit(words: Iterable[str], charset: Charset, order: int = 4) -> tuple[Ngram, int]:
    """The model of words, each as often as it comes, and for how many the charset has no spelling."""
    base = charset.size + 1
    if order < 1 or base**order >= 1 << 63:
        longest = next(n for n in range(64, 0, -1) if base**n < 1 << 63)
        raise BadSettings(f"order={order}: 1 to {longest} for {charset.size - 1} characters")
    words = [charset.normalise(word) for word in words]
    spelled = [charset.encode(word) for word in words if word and not charset.unspellable(word)]
    if not spelled:
        raise BadData(f"none of {len(words)} words can be spelled with {charset.characters[:40]!r}")
    opening = [charset.size] * (order - 1)
    text = np.array([c for word in spelled for c in (*opening, *word, END)], np.int64)
    lengths = np.array([len(word) + order for word in spelled])
    inside = np.ones(len(text), bool)  # where an n-gram of the highest order may end
    starts = np.cumsum(lengths) - lengths
    inside[(starts[:, None] + np.arange(order - 1)).ravel()] = False
    ends = np.flatnonzero(inside)
    keys = sum(text[ends - i] * base**i for i in range(order))
    return Ngram(charset, _orders(np.asarray(keys), base, order)), len(words) - len(spelled)


def _orders(events: np.ndarray, base: int, order: int) -> list[Order]:
    """What is known of every length, of n-grams of the highest order as they came."""
    out, above = [], np.zeros(0, np.int64)
    for n in range(order, 0, -1):
        keys, seen = np.unique(events % base**n, return_counts=True)
        if n < order:
            before = np.unique(above % base**n, return_counts=True)[1]  # of the same keys
            seen = np.where((n > 1) & (keys // base ** (n - 1) == base - 1), seen, before)
        out.append(_order(keys, seen, base))
        above = keys
    return out[::-1]


def _order(keys: np.ndarray, seen: np.ndarray, base: int) -> Order:
    discounts = np.array(_discounts(np.bincount(seen, minlength=5)[1:5].tolist()))
    taken = discounts[np.minimum(seen, 3) - 1]
    histories, place = np.unique(keys // base, return_inverse=True)
    totals = np.bincount(place, seen)
    lambdas = np.bincount(place, taken) / totals
    return Order(keys, (seen - taken) / totals[place], histories, lambdas)


def _discounts(many: list[int]) -> tuple[float, ...]:
    """D1, D2, D3+ from the numbers of n-grams seen once to four times (Chen & Goodman, equation 26)."""
    if not all(many):
        return FALLBACK
    rest = many[0] / (many[0] + 2 * many[1])
    found = tuple(k - (k + 1) * rest * many[k] / many[k - 1] for k in (1, 2, 3))
    return found if all(0 < d <= k for k, d in enumerate(found, 1)) else FALLBACK


def _looked_up(keys: np.ndarray, values: np.ndarray, wanted: np.ndarray, missing: float) -> np.ndarray:
    place = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
    return np.where(keys[place] == wanted, values[place], missing)


def save(model: Ngram, path: str | Path) -> None:
    """Writes the model, whole or not at all."""
    arrays = {f"{name}{n}": getattr(order, name) for n, order in enumerate(model.orders, 1)
              for name in Order.__slots__}  # fmt: skip
    told = {"format": FORMAT, "order": len(model.orders), **model.charset.to_dict()}
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    write_bytes(Path(path), safetensors.numpy.save(arrays, {KEY: canonical(told).decode()}))


def load(path: str | Path, charset: Charset) -> Ngram:
    """The model of a file; BadData where it is none, BadSettings where it is of another charset."""
    try:
        with safetensors.safe_open(path, "numpy") as file:
            told = json.loads((file.metadata() or {}).get(KEY, "{}"))
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, ValueError, safetensors.SafetensorError) as error:
        raise BadData(f"{path}: not a file of train.ngram: {error}") from None
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        raise BadData(f"{path}: not a file of train.ngram of format {FORMAT}")
    theirs = {name: told.get(name, "") for name in charset.to_dict()}
    if theirs != charset.to_dict():
        raise BadSettings(
            f"{path}: made for the characters {_short(theirs)}, the model reads {_short(charset.to_dict())}; "
            "make one with train.ngram checkpoint=MODEL"
        )
    try:
        names, longest = list(Order.__dataclass_fields__), int(told["order"])
        if len(arrays) != len(names) * longest:
            raise ValueError(f"{len(arrays)} arrays for order {longest}")
        orders = [Order(*(arrays[f"{name}{n}"] for name in names)) for n in range(1, longest + 1)]
        for order in orders:
            order.check()
        return Ngram(charset, orders)
    except (KeyError, TypeError, ValueError) as error:
        raise BadData(f"{path}: damaged: {error}") from None


def _short(charset: dict[str, str]) -> str:
    text = charset["characters"]
    return f"{text if len(text) <= 100 else text[:100] + '...'!r} (fold={charset['fold']})"
