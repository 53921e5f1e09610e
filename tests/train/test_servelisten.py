"""The process: ends as asked, all answered, and writes no file; hostile clients cost it nothing."""

import json
import os
import random
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from shards.read import Shards

pytest.importorskip("uvicorn", reason="needs the extra `serve`")
pytest.importorskip("fastapi", reason="needs the extra `serve`")
from tests.train.served import ask, command, metric, together

HEAD = b"POST /read HTTP/1.1\r\nHost: a\r\nContent-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n"
GROWTH = 48 << 20  # bytes that the second half of the hostile requests may cost
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def word(words):
    """A picture."""
    return Shards([words], "test").image(0)


@pytest.fixture
def places(tmp_path):
    """Where a process writes if it writes anywhere, all of them empty."""
    found = {name: tmp_path / name for name in ("cwd", "HOME", "TMPDIR", "XDG_CACHE_HOME")}
    for place in found.values():
        place.mkdir()
    return found


def line_to(address: str) -> socket.socket:
    place = urlsplit(address)
    return socket.create_connection((place.hostname, place.port), timeout=120)


def test_a_signal_while_a_request_comes_lets_it_be_answered_and_nothing_was_written(word, places):
    cwd = places.pop("cwd")
    env = {name: str(place) for name, place in places.items()}
    with command(cwd=cwd, **env) as (process, address):
        assert ask(address, "/read", word)[0] == 200
        assert ask(address, "/read", together(word, b"none"), "application/json")[0] == 200
        assert ask(address, "/")[0] == 200
        with closing(line_to(address)) as line:
            line.sendall(HEAD % len(word) + word[:100])
            while metric(address, "ocr_requests_inside") < 1:
                pass
            process.send_signal(signal.SIGTERM)
            while not refused(address):
                pass
            line.sendall(word[100:])
            answer = b""
            while more := line.recv(1 << 16):
                answer += more
        assert answer.startswith(b"HTTP/1.1 200")
        assert json.loads(answer.partition(b"\r\n\r\n")[2])["answers"][0]["readings"][0]["text"]
        out, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
        assert "everything asked was answered" in out
    assert [file for place in (cwd, *places.values()) for file in place.rglob("*")] == []


def refused(address: str) -> bool:
    try:
        line_to(address).close()
    except ConnectionError:
        return True
    return False


class Hostile:
    """Requests that nobody means well with; each returns the status of its answer, 0 where it left first."""

    def __init__(self, address: str, word: bytes, seed: int) -> None:
        self.address, self.word, self.draw = address, word, random.Random(seed)

    def one(self) -> int:
        """Any of them."""
        return self.draw.choice(
            [self.cut, self.noise, self.changed, self.typed, self.large, self.raw, self.left]
        )()

    def cut(self) -> int:
        """A picture that is truncated."""
        return ask(self.address, "/read", self.word[: self.draw.randrange(len(self.word) * 3 // 4)])[0]

    def noise(self) -> int:
        """Bytes behind a head that promises a picture, or none."""
        heads = (b"", b"\xff\xd8\xff", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"BM", b"II*\0", b"RIFF....WEBP")
        data = self.draw.choice(heads) + self.draw.randbytes(self.draw.randrange(5000))
        return ask(self.address, "/read", data, self.draw.choice(["image/png", "image/x", "text/html", ""]))[
            0
        ]

    def changed(self) -> int:
        """JSON that is nearly right."""
        body = bytearray(together(self.word[:50]))
        for _ in range(self.draw.randrange(4)):
            body[self.draw.randrange(len(body))] = self.draw.randrange(256)
        return ask(self.address, "/read", bytes(body), "application/json")[0]

    def typed(self) -> int:
        """JSON of other types."""
        odd = [None, 3, 1e308, "a", [], {}, [[]], {"data": None}, {"data": [1]}, {"data": "", "name": {}}]
        told = {"images": [self.draw.choice(odd) for _ in range(self.draw.randrange(70))]}
        body = json.dumps(self.draw.choice([told, odd, {"images": self.draw.choice(odd)}])).encode()
        return ask(self.address, "/read", body, "application/json")[0]

    def large(self) -> int:
        """More than is taken, told beforehand or not."""
        with closing(line_to(self.address)) as line:
            if self.draw.random() < 0.5:
                line.sendall(HEAD % (1 << 40))
            else:
                line.sendall(HEAD[: HEAD.index(b"Content-Length")] + b"Transfer-Encoding: chunked\r\n\r\n")
                with suppress(ConnectionError):
                    for _ in range(20):
                        line.sendall(b"10000\r\n" + bytes(1 << 16) + b"\r\n")
            return int(line.recv(12)[9:] or 0)

    def raw(self) -> int:
        """What is no HTTP."""
        with closing(line_to(self.address)) as line:
            line.sendall(self.draw.randbytes(self.draw.randrange(1, 200)) + b"\r\n\r\n")
            return int(line.recv(12)[9:] or 0)

    def left(self) -> int:
        """A client that leaves, or says a little and waits until it is shown out."""
        with closing(line_to(self.address)) as line:
            line.sendall((HEAD % 9999)[: self.draw.randrange(1, len(HEAD))])
            if self.draw.random() < 0.1:
                with suppress(ConnectionError):
                    return int(line.recv(12)[9:] or 0)
        return 0


def memory(pid: int) -> int:
    """Bytes that a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="no /proc to read a process's memory from")
@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.campaign)])
def test_hostile_requests_get_4xx_and_cost_nothing(word, tmp_path, count):
    more = ["body=1000000", "timeout=1", "queue=64"]
    with command(*more, cwd=tmp_path) as (process, address), ThreadPoolExecutor(4) as pool:

        def half(first: int) -> list[int]:
            seeds = range(first, first + count // 2)
            return list(pool.map(lambda seed: Hostile(address, word, seed).one(), seeds))

        found = half(0)
        before = memory(process.pid)
        found += half(count // 2)
        after = memory(process.pid)
        assert {status // 100 for status in found} <= {0, 4}, found
        assert sum(status // 100 == 4 for status in found) > 0.6 * count
        assert after - before < GROWTH
        assert ask(address, "/read", word)[0] == 200
        assert metric(address, "ocr_requests_inside") == 0
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate(timeout=120)
        assert (process.returncode, err) == (0, "")
