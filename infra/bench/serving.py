"""What a served model answers over loopback: images a second and how long clients wait, in batches and alone.

    python infra/bench/serving.py
    python infra/bench/serving.py clients=16 requests=2000 rounds=5
    python infra/bench/serving.py model=models/yolo recogniser=words data=data/scenes

Servers with batch= and with batch=1 are processes of their own and take turns; clients are threads, each with
one connection, that ask again as soon as they are answered. Rendered words, unless data= names shards.
"""

import http.client
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from rounds import at_least, machine, table, take_turns
from samples import rendered

from shards import config, progress
from shards.errors import BadData
from shards.read import Shards

COLUMNS = ("", "images/s", "times batch=1", "p50, ms", "p99, ms")


@dataclass
class Settings:
    """What is measured, and how often."""

    model: str = ""  # as train.serve takes it; empty = the recogniser of the package
    recogniser: str = ""  # as train.serve takes it
    data: str = ""  # a folder of shards with a split test; empty = rendered words
    batch: int = 16  # of the server that batches
    wait: float = 5.0  # milliseconds for which it gathers
    clients: int = 16  # that ask at the same time
    requests: int = 1000  # of a pass
    rounds: int = 5  # turns of every contender

    def __post_init__(self) -> None:
        at_least(self, batch=2, clients=1, requests=1, rounds=1)


@contextmanager
def address(settings: Settings, *more: str) -> Iterator[str]:
    """host:port of a server that runs meanwhile."""
    model = [settings.model] if settings.model else []
    line = [sys.executable, "-m", "train.serve", *model, f"recogniser={settings.recogniser}", "port=0"]
    with subprocess.Popen([*line, *more], stdout=subprocess.PIPE, text=True) as process:
        try:
            told = process.stdout.readline() if process.stdout else ""
            if "http://" not in told:
                raise BadData(f"{' '.join(line)} did not start")
            yield told.rpartition("http://")[2].strip()
        finally:
            process.terminate()
            process.communicate()


class Clients:
    """Clients of one server; `waits` holds, of each pass, the sorted seconds that the answers took."""

    def __init__(self, place: str, images: list[bytes], settings: Settings) -> None:
        self.place, self.images, self.settings = place, images, settings
        self.waits: list[list[float]] = []

    def __call__(self) -> int:
        """A pass: every client asks for its share of the images, one after another."""
        clients = min(self.settings.clients, self.settings.requests)
        with ThreadPoolExecutor(clients) as pool:
            took = list(pool.map(self._client, range(clients)))
        self.waits.append(sorted(seconds for one in took for seconds in one))
        return self.settings.requests

    def _client(self, number: int) -> list[float]:
        took = []
        with closing(http.client.HTTPConnection(self.place)) as line:
            for at in range(number, self.settings.requests, self.settings.clients):
                image, start = self.images[at % len(self.images)], time.perf_counter()
                line.request("POST", "/read", image, {"Content-Type": "image/jpeg"})
                answer = line.getresponse()
                told = answer.read()
                if answer.status != 200:
                    raise BadData(told.decode())
                took.append(time.perf_counter() - start)
        return took

    def milliseconds(self, share: float) -> float:
        """So long at most took this share of the answers: median of the rounds that count."""
        places = [(one, min(len(one) - 1, int(share * len(one)))) for one in self.waits[1:]]
        return 1000 * statistics.median(one[place] for one, place in places)


def pictures(settings: Settings, folder: Path) -> list[bytes]:
    """Those of the shards, or rendered into the folder."""
    data = settings.data or rendered(folder, 256, "test")
    shards = Shards([Path(data)], "test")
    return [shards.image(at) for at in range(min(256, len(shards)))]


def main(argv: list[str]) -> None:
    """One table."""
    settings = config.read(Settings, "bench", argv)
    print(f"### Serving\n\n{machine(torch.get_num_threads())}\n")
    kinds = {f"batch={settings.batch}": f"wait={settings.wait}", "batch=1": "wait=0"}
    with ExitStack() as stack:
        images = pictures(settings, Path(stack.enter_context(tempfile.TemporaryDirectory())))
        asking = {
            name: Clients(stack.enter_context(address(settings, name, wait)), images, settings)
            for name, wait in kinds.items()
        }
        found = take_turns(dict(asking), settings.rounds)
    rows = [
        (name, found.speed(name), found.ratio(name, "batch=1"),
         *(f"{asking[name].milliseconds(share):.1f}" for share in (0.5, 0.99)))
        for name in kinds
    ]  # fmt: skip
    what = f"{settings.model or 'the packaged recogniser'} {settings.recogniser}".strip()
    table(f"{what}, {settings.clients} clients, {settings.requests} requests a pass", COLUMNS, rows)


if __name__ == "__main__":
    sys.exit(progress.run(main, __doc__, Settings))
