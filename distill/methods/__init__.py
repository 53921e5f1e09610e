"""Seam: one file per method, with `Settings` (a dataclass with a `weight`) and `Method(settings, task)`.

A Method is an nn.Module (adapters are its parameters, so they never stand in the student):
- `needs`: what it asks of the two models: "frames" = the same L, "strings" = what the teacher reads.
- `forward(output, lesson)` -> the raw loss of each sample, fp32 [N]; validity and weight are not its task.
Letters: N samples, L time steps, C classes.
"""

NEEDS = ("frames", "strings")
