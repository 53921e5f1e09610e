"""Makes a model folder out of another project's weights.

    python -m train.checkpoint format=crnn_pytorch weights=student.pt out=models/crnn_small
    python -m train.checkpoint format=crnn_pytorch weights=crnn.pt out=models/crnn data.root=data/iiit5k
    python -m train.checkpoint format=onnx weights=rec.onnx space=true out=models/ppocr image.height=48 \\
        image.width=320 image.channels=bgr image.fit=keep characters=keys.txt
    python -m train.checkpoint format=torchvision weights=mobilenet_v2.pth model=mobilenetv2 out=models/start

crnn_pytorch: GitYCC/crnn-pytorch and its forks. Files that hold anything but named tensors are refused.
onnx: a CTC recogniser as an ONNX file (images [N,C,H,W] to [N,T,C]) with its characters: it evaluates,
predicts and records like any other model, and is not trained. With data.root= these two are measured on it.
torchvision: ImageNet weights of densenet121 or mobilenet_v2 under a fresh head, to begin a training from;
what was taken, adapted, left fresh and unused is told, and kept in the folder.
"""

import sys

from shards import config
from shards.progress import Reporter, run
from train import foreign, modelfolder

EVALUATE = "python -m train.evaluation checkpoint={} data.root=..."
NEXT = {
    "torchvision": "accelerate launch train/teacher.py init_from={} init_parts=cnn model=... data.root=..."
}


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(foreign.Settings, "checkpoint", argv)
    report = Reporter("train.checkpoint", settings.json)
    notes = foreign.FORMATS[settings.format](settings)
    loaded = modelfolder.load(settings.out)
    model, metrics = loaded.model, loaded.config.get("metrics", {})
    parameters = sum(p.numel() for p in model.parameters())
    report.header(format=settings.format, weights=settings.weights, folder=settings.out)
    digest = modelfolder.weights_digest(settings.out)[:12]
    report.say(f"{parameters:,} parameters, L = {model.frames}, C = {model.channels}, weights {digest}")
    for note in notes:
        report.say(note)
    if metrics:
        right, alike = (f"{metrics[name]:.2%}" for name in ("word_acc", "word_acc_ics"))
        on = f"{metrics['n']:.0f} words, data {loaded.config['measured']['digest'][:12]}"
        report.say(f"word accuracy {right}, ignoring case and symbols {alike} ({on})")
    report.done(
        NEXT.get(settings.format, EVALUATE).format(settings.out),
        parameters=parameters,
        folder=settings.out,
        metrics=metrics,
        notes=notes,
    )


if __name__ == "__main__":
    sys.exit(run(main, __doc__, foreign.Settings))
