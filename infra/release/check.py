"""What must hold before a version is given away: licences, the wheel, every entry's help, README's commands.

    python infra/release/check.py
    python infra/release/check.py checks=licences,wheel
    python infra/release/check.py checks=licences extras=onnx,serve

licences: what each extra would install, by pip's resolver and the index's metadata (scan.py, licences.py);
nothing is installed for it. wheel: built from the files that git knows, looked into, installed into an empty
environment. help: every entry of that environment, away from the checkout. readme: tests/test_readme.py.
A table per check; code 4 where one failed, with what to do about it.
"""

import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from place import ROOT, Found, Place, call, tail
from scan import check_licences, extras
from wheels import check_help, check_wheel

from shards import config
from shards.errors import BadSettings, GateFailed
from shards.lookup import unknown
from shards.progress import Reporter, run


@dataclass
class Settings:
    """Which checks, of which extras."""

    checks: list[str] = field(default_factory=lambda: list(CHECKS))  # licences, wheel, help, readme
    extras: list[str] = field(default_factory=list)  # whose licences are looked at; none = the base and all
    json: bool = False  # print the result as JSON on the last line

    def __post_init__(self) -> None:
        for key, given, known in (("checks", self.checks, CHECKS), ("extras", self.extras, extras())):
            for name in given:
                if name not in known:
                    raise BadSettings(unknown(key, name, list(known)))
        if "help" in self.checks and "wheel" not in self.checks[: self.checks.index("help")]:
            raise BadSettings("help asks the environment that wheel makes: checks=wheel,help")


def check_readme() -> Found:
    """README's commands and the demo, small, by the interpreter that runs this."""
    done = call(sys.executable, "-m", "pytest", "-q", "tests/test_readme.py", check=False, cwd=ROOT)
    said = done.stdout.strip().splitlines()[-1:] or [tail(done)]
    failures = [f"tests/test_readme.py: {' '.join(said)}; run it alone: pytest tests/test_readme.py"]
    return Found(("tests/test_readme.py",), [said], failures if done.returncode else [])


CHECKS: dict[str, Callable[[Settings, Place], Found]] = {
    "licences": lambda settings, place: check_licences(settings.extras, place),
    "wheel": lambda settings, place: check_wheel(place),
    "help": lambda settings, place: check_help(place),
    "readme": lambda settings, place: check_readme(),
}


def main(argv: list[str]) -> None:
    """Entry."""
    settings = config.read(Settings, "release", argv)
    report, failures, seconds = Reporter("release", settings.json), [], {}
    report.header(checks=",".join(settings.checks))
    with tempfile.TemporaryDirectory() as folder:
        for name in settings.checks:
            begun = time.monotonic()
            found = CHECKS[name](settings, Place(Path(folder)))
            seconds[name] = round(time.monotonic() - begun, 1)
            report.table(f"{name}, {seconds[name]:.0f} s", found.columns, found.rows)
            failures += [f"{name}: {failure}" for failure in found.failures]
    for failure in failures:
        report.say(failure)
    if failures:
        stop = GateFailed(f"{len(failures)} of what must hold do not: see above")
        raise report.failed(stop, seconds=seconds, failures=failures)
    report.done("", seconds=seconds, failures=[])


if __name__ == "__main__":
    sys.exit(run(main, __doc__, Settings))
