"""Seam: one file per kind of answers that models give, named by the tasks' `answers`. A member offers

- `KINDS`: of distill.kinds, that teachers of such a task can be asked for, the first where nobody asks;
- `lesson(batch, logits, features)` -> Lesson: a model's answer as students learn from it;
- `divergence(told, said)` and `text(logits)`, both [N,L] of logits [N,L,C], fp32: KL(told, said) in nats, and
  the probability of text, at each step or cell;
- `identity(task)` -> what the terms of an answer mean, for the card of a cache;
- `live(teacher, task, frames)` and `recorded(teacher, card, task, frames)` -> a `Live` or `Cached` teacher
  brought onto the side of a student of that task and of so many steps; refused where that cannot be;
- `derived(teacher)` -> a live one that answers all KINDS; `together(teachers, ensemble, known, task)` ->
  several as one; `sure(teacher, least)` -> one that is not trusted where it is less sure, for samples without
  labels;
- `kept(settings, answers)` -> the codec and its numbers (`Kept`) for a recording, of which these are some.
"""
