"""Makes a model folder out of another project's weights.

    python -m train.checkpoint format=crnn_pytorch weights=student.pt out=models/crnn_small
    python -m train.checkpoint format=crnn_pytorch weights=crnn.pt out=models/crnn leaky_relu=true
    python -m train.checkpoint format=?

crnn_pytorch: GitYCC/crnn-pytorch and its forks. Files that hold anything but named tensors are refused.
"""

import sys

from shards import config
from shards.progress import Reporter, run
from train import foreign, modelfolder


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(foreign.Settings, "checkpoint", argv)
    report = Reporter("train.checkpoint", settings.json)
    foreign.FORMATS[settings.format](settings)
    model = modelfolder.load(settings.out).model
    parameters = sum(p.numel() for p in model.parameters())
    report.header(format=settings.format, weights=settings.weights, folder=settings.out)
    digest = modelfolder.weights_digest(settings.out)[:12]
    report.say(f"{parameters:,} parameters, L = {model.frames}, weights {digest}")
    next_command = f"python -m train.evaluation checkpoint={settings.out} data.root=..."
    report.done(next_command, parameters=parameters, folder=settings.out)


if __name__ == "__main__":
    sys.exit(run(main, __doc__, foreign.Settings))
