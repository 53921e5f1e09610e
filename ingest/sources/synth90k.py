"""The other name of MJSynth: `source=synth90k` is `source=mjsynth`, with the same name and uids."""

from ingest.sources.mjsynth import EXPECTS, GIVES, LICENCE, Settings, Source

__all__ = ["EXPECTS", "GIVES", "LICENCE", "Settings", "Source"]
