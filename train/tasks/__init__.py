"""Seam: one file per task. A member offers `Settings` (a dataclass), `Task(settings, image)`,
`settle(settings, shards)` -> settings that need neither data nor files any more, and what to say of it, and
`joined(old, new)` -> settings of a task that knows the classes of both, the old ones in their place.

A task is an object with these members, and nobody else asks which task it is:
- `image` (ImageSpec) and `channels` (how many values a model answers per step or cell);
- `answers`: what its models' answers are, as students learn from them: a member of distill.answers;
- `finds`: whether it finds words in pictures, not reads the one of a crop;
- `least`: words less sure than this are told to evaluations alone;
- `varies` (kinds of device, "cuda", on which no gradient of its loss is the same twice);
- `check(shards)`: BadData if these samples are not of its kind;
- `encode(records)` -> targets, an object with `.to(device)` and tensors addressed by sample;
- `loss(output, targets)` -> {name: Tensor [N]}: "task" is what is minimised, in fp32; the others are watched;
- `census(texts, frames)` -> {reason: count} of labels that cannot teach, known from the columns beforehand;
  frames: the time steps that each has;
- `decode(output)` -> one tuple of `Read` per sample;
- `merged(outputs)`, where it finds words: `decode` of answers to the same canvases at several scales;
- `detailed(raw, topk)` -> a `decode` whose words have their `detail`, where it reads words (`train.details`);
- `read_by(decoder, temperature)`: from now on `decode` takes that decoder (a Choice of `train.decoders`), and
  confidences at that temperature;
- `trials(output, records, temperatures)` -> (right [n], confidence [n,K] at each of K temperatures) of the n
  samples with a label: what a temperature is fitted on (`train.calibrate`);
- `headings` (Heading of `train.headings`): the figures that people look at, the first being the one that runs
  are selected and compared by;
- `score(meter, damage, seed)` -> a score (see `train.wordscore`): the figures of an evaluation;
- `mistakes(meter, damage, shards)` -> what the meter's entries got wrong, as plain values for files and pages
  (`train.mistakes`); damage: uid -> what is wrong with a sample;
- `meter()` -> a fresh Meter: `update(uids, predictions, records)`, `entries()` (picklable),
  `absorb(entries)`, `score_by(protocol)` (of train.protocols), `compute()` -> {metric: value}. Entries are
  addressed by uid: one seen twice counts once.
"""

from dataclasses import dataclass

from shards.sample import Word


@dataclass(frozen=True, slots=True)
class Alternative:
    """A text that a word may have, and its probability, over all paths that spell it."""

    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class Detail:
    """What stands behind a reading, as far as it was asked for.

    raw: the best class of every time step, a symbol each, the blank as `-`; spans: of each character, from
    which x to which its steps reach, as a polygon on the canvas or in the picture, where pixel i reaches from
    i to i + 1; alternatives: the best texts, that of the word first, then the most probable ones.
    """

    raw: str = ""
    spans: tuple[tuple[float, float], ...] = ()
    alternatives: tuple[Alternative, ...] = ()


@dataclass(frozen=True, slots=True)
class Read(Word):
    """A word as it was read; `score` is its confidence.

    characters: the confidence of each character of the text; certified: see `train.decode.Reading`; found:
    how sure it is that a word stands there, of one that was first found and then read; detail: where asked.
    """

    characters: tuple[float, ...] = ()
    certified: bool = False
    found: float | None = None
    detail: Detail | None = None
