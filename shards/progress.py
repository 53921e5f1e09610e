"""What a stage tells people: header, one live line, final table, next command, JSON, and the exit code.

`run(main)` is how every entry starts: it turns a Stop into one clear line and the stage's exit code, and ends
without a word where nobody reads on (`... | head`).
"""

import errno
import json
import os
import select
import signal
import sys
import time
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from shards import config, storage
from shards.errors import BadData, Stop
from shards.written import write_json


def version() -> str:
    """The installed version of OCR Distillery."""
    return metadata.version("ocr-distillery")


INTERRUPTED, UNREAD = 130, 141  # as shells say of processes that SIGINT and SIGPIPE ended
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # where there is no room


def run(main: Callable[[list[str]], Any], doc: str | None = None, schema: type | None = None) -> int:
    """Runs an entry's main on the command line; returns 0, 2, 3, 4 or 85, 130 where it was interrupted, or
    141 where standard output was closed. A file that cannot be read or written is a 3 that names it. Anything
    else is a bug and keeps its trace.
    """
    code = 0
    try:
        code = _code(main, doc, schema)
        sys.stdout.flush()
    except KeyboardInterrupt:
        print("error: interrupted", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:
        if sys.stdout is None or not _closed(sys.stdout.fileno()):
            raise
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # takes what is flushed at the end
        return code or UNREAD
    return code


def tidy() -> None:
    """From now on SIGTERM ends this process as an exception does: nothing half written stays."""
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))


def _closed(pipe: int) -> bool:
    """Whether nobody reads any more what is written to a file descriptor."""
    poll = select.poll()
    poll.register(pipe, select.POLLOUT)
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _code(main: Callable[[list[str]], Any], doc: str | None, schema: type | None) -> int:
    argv = sys.argv[1:]
    if schema and any(a in ("--help", "-h") for a in argv):
        print(usage(doc or "", schema))
        return 0
    try:
        main(argv)
        sys.stdout.flush()
    except BrokenPipeError:
        raise
    except Exception as error:
        stop = _stop(error)
        print(f"error: {stop}", file=sys.stderr)
        if "json=true" in argv:
            told = {**stop.result, "error": str(stop), "code": stop.code}
            print(json.dumps(told, default=str), flush=True)
        return stop.code
    return 0


def _stop(error: Exception) -> Stop:
    """What an error says to people, of a file that could not be read or written too, or of the place where
    data stand; any other is raised again.
    """
    if isinstance(error, Stop):
        return error
    if type(error).__module__.partition(".")[0] in storage.LIBRARIES:
        return BadData(f"where the data stand: {error} ({storage.CREDENTIALS})")
    if not isinstance(error, OSError) or (error.filename is None and error.errno not in FULL):
        raise error
    where = "" if error.filename is None else f"{error.filename}: "
    remedy = "; make room, then give the same command again" if error.errno in FULL else ""
    return BadData(f"{where}{error.strerror or error}{remedy}")


def usage(doc: str, schema: type) -> str:
    """The help text: the entry's docstring (with its examples), then every setting with type, default and
    comment.
    """
    rows = config.describe(schema)
    width = max(len(key) for key, *_ in rows) + 1
    lines = [
        f"  {key + '=':<{width}} {kind}, {default!r}  {note}".rstrip() for key, kind, default, note in rows
    ]
    return "\n".join([doc.strip(), "", "settings (key=? lists what exists):", *lines])


class Reporter:
    """Tells one stage's story on standard output. A silent one (other ranks) says nothing."""

    def __init__(self, stage: str, as_json: bool = False, silent: bool = False) -> None:
        self.stage, self.as_json, self.silent = stage, as_json, silent
        self.result: dict[str, Any] = {}
        self._live = sys.stdout.isatty()
        self._last = 0.0
        self._log: Path | None = None

    def log_to(self, path: Path) -> None:
        """Also writes every plain line to a file, a silent reporter too: one log per rank."""
        path.parent.mkdir(parents=True, exist_ok=True)
        self._log = path

    def _keep(self, text: str) -> None:
        if self._log:
            with open(self._log, "a", encoding="utf-8") as file:
                file.write(text + "\n")

    def say(self, text: str) -> None:
        """One plain line."""
        self._keep(text)
        if not self.silent:
            end = "\033[K\n" if self._live else "\n"
            print(text, end=end, flush=True)

    def header(self, **facts: Any) -> None:
        """Name, version and the facts that tell two runs apart."""
        self.result.update(facts)
        self.say(
            f"{self.stage} · ocr-distillery {version()} · " + " · ".join(f"{k} {v}" for k, v in facts.items())
        )

    def line(self, text: str, every: float = 10.0, force: bool = False) -> None:
        """The live line: rewritten in place on a terminal, a plain line at most every `every` seconds
        elsewhere.
        """
        now = time.monotonic()
        if not force and now - self._last < (0.2 if self._live else every):
            return
        self._last = now
        if force or not self._live:
            self._keep(text)
        if self.silent:
            return
        print(f"\r{text}\033[K" if self._live else text, end="" if self._live else "\n", flush=True)

    def table(self, title: str, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
        """A table of texts and numbers, numbers to the right."""
        if self.silent:
            return
        from rich.console import Console
        from rich.table import Table

        table = Table(title=title, title_justify="left")
        for place, name in enumerate(columns):
            numeric = rows and all(isinstance(row[place], int | float) for row in rows)
            table.add_column(name, justify="right" if numeric else "left")
        for row in rows:
            table.add_row(*map(_cell, row))
        width = None if Console().is_terminal else 140
        Console(width=width, markup=False, emoji=False).print(table)  # [b] and :ok: are what was read

    def failed(self, stop: Stop, next_command: str = "", **result: Any) -> Stop:
        """The end of a stage that found something wrong: the Stop to raise; its JSON line has the result."""
        self.result.update(result)
        if next_command:
            self.say(f"next: {next_command}")
        stop.result = {"stage": self.stage, **self.result, "next": next_command}
        return stop

    def done(self, next_command: str = "", **result: Any) -> None:
        """The end: the next command to type and, with json=true, everything as one JSON line."""
        self.result.update(result)
        if next_command:
            self.say(f"next: {next_command}")
        if self.as_json and not self.silent:
            print(
                json.dumps({"stage": self.stage, **self.result, "next": next_command}, default=str),
                flush=True,
            )


def _cell(value: Any) -> str:
    """As it can be printed, a file's name that is no utf-8, or would move the cursor, too."""
    if isinstance(value, float):
        return f"{value:.4g}"
    text = str(value).encode("utf-8", "replace").decode()
    return "".join(one if one.isprintable() or one == "\n" else "\ufffd" for one in text)


def status(folder: Path, state: str, code: int | None = None, reason: str = "", **more: Any) -> None:
    """Writes status.json of a run folder: state (running|done|failed|preempted), exit code, reason,
    heartbeat.
    """
    folder.mkdir(parents=True, exist_ok=True)
    content = {"format": 1, "state": state, "code": code, "reason": reason, "pid": os.getpid(), **more}
    write_json(folder / "status.json", {**content, "heartbeat": time.time()})
