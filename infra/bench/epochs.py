"""Epochs of training, ours and the plainest loop that a user would write, as passes for `rounds`."""

import itertools
from collections.abc import Callable
from typing import Any

import torch
from peers import CHARACTERS, CLASSES
from torch import Tensor, nn
from torch.utils.data import DataLoader

from shards.loader import Batch
from shards.progress import Reporter
from train import fit, runfolder
from train.optim import Optimizing
from train.workbench import Bench

HELD = 8  # batches kept in memory to time the updates alone


class Unstopped:
    """Nobody asks a benchmark to stop."""

    reason = ""

    def asked(self) -> bool:
        """Never."""
        return False


class Ours:
    """train.fit over an opened workbench: losses, updates, log lines; no evaluation and nothing saved."""

    def __init__(self, bench: Bench, step: nn.Module, teach: Callable[[Batch], Any] = lambda batch: batch):
        self.bench, folder = bench, runfolder.RunFolder(bench.settings.run)
        folder.open({})
        self.loop = fit.Loop(
            bench.accelerator, step, bench.train_loader, teach, _nothing, _nothing, folder,
            Reporter("bench", silent=True), Unstopped(), bench.settings.fit,
            Optimizing(bench.settings.optim, bench.settings.schedule),
        )  # fmt: skip

    def epoch(self) -> int:
        """The next epoch, data and all."""
        self.loop.epoch()
        return self.loop.loader.plan.length

    def updates(self) -> Callable[[], int]:
        """A pass of updates over batches that are in memory."""
        held = list(itertools.islice(self.loop.loader.batches(0), HELD))
        valid = sum(int(batch.valid.sum()) for batch in held)

        def work() -> int:
            for at, batch in enumerate(held):
                self.loop.update([batch], at, dict)
            return valid

        return work


def _nothing(*_: Any) -> dict[str, float]:
    return {}


class Plainest:
    """Forward, log-softmax, nn.CTCLoss, backward, AdamW. precision: fp32, or bf16 by autocast."""

    def __init__(self, model: nn.Module, device: torch.device, precision: str) -> None:
        self.model, self.device, self.precision = model.to(device), device, precision
        self.optimizer = torch.optim.AdamW(self.model.parameters())
        self.loss = nn.CTCLoss(zero_infinity=True)

    def epoch(self, loader: DataLoader) -> int:
        """Once through a DataLoader."""
        self._train(loader)
        return len(loader.dataset)  # type: ignore[arg-type]

    def updates(self, loader: DataLoader) -> Callable[[], int]:
        """A pass of updates over batches that are in memory."""
        held = [(images.to(self.device), labels) for images, labels in itertools.islice(loader, HELD)]

        def work() -> int:
            self._train(held)
            return sum(len(images) for images, _ in held)

        return work

    def _train(self, batches: Any) -> float:
        self.model.train()
        total = torch.zeros((), device=self.device)
        for images, labels in batches:
            self.optimizer.zero_grad()
            loss = self._loss(images.to(self.device, non_blocking=True), labels)
            loss.backward()
            self.optimizer.step()
            total += loss.detach()
        return float(total)  # waits for a GPU, once an epoch

    def _loss(self, images: Tensor, labels: list[str]) -> Tensor:
        classes = [[CLASSES[c] for c in label.lower() if c in CHARACTERS] for label in labels]
        targets = torch.tensor([c for label in classes for c in label], device=self.device)
        lengths = torch.tensor([len(label) for label in classes], device=self.device)
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16"):
            logits = self.model(images).logits
        log_probs = logits.float().log_softmax(-1).transpose(0, 1)  # [L,N,C]
        frames = torch.full_like(lengths, logits.shape[1])
        return self.loss(log_probs, targets, frames, lengths)
