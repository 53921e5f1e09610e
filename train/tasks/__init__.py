"""Seam: one file per task. A member offers `Settings` (a dataclass), `Task(settings, image)`,
`settle(settings, shards)` -> settings that need neither data nor files any more, and what to say of it, and
`joined(old, new)` -> settings of a task that knows the classes of both, the old ones in their place.

A task is an object with these members, and nobody else asks which task it is:
- `image` (ImageSpec) and `channels` (how many values a model answers per step or cell);
- `check(shards)`: BadData if these samples are not of its kind;
- `encode(records)` -> targets, an object with `.to(device)` and tensors addressed by sample;
- `loss(output, targets)` -> {name: Tensor [N]}: "task" is what is minimised, in fp32; the others are watched;
- `census(texts, frames)` -> {reason: count} of labels that cannot teach, known from the columns beforehand;
- `decode(output)` -> one tuple of `Word` per sample;
- `mistakes(meter, damage, shards)` -> what the meter's entries got wrong, as plain values for files and pages
  (`train.mistakes`); damage: uid -> what is wrong with a sample;
- `meter()` -> a fresh Meter: `update(uids, predictions, records)`, `entries()` (picklable),
  `absorb(entries)`, `compute()` -> {metric: value}. Entries are addressed by uid: one seen twice counts once.
"""
