"""Keeps decoded canvases in memory: a set that fits is decoded once, a larger one in part."""

from typing import Any

import numpy as np

from shards.engines import Canvases


class Keeping:
    """An engine that remembers what it read of the first positions, as many as fit; damage is read anew."""

    def __init__(self, engine: Any, samples: int, megabytes: int) -> None:
        self.engine, spec = engine, engine.image
        size = spec.depth * spec.height * spec.width
        self.bound = min(samples, megabytes * 1_000_000 // size)
        self._pixels = np.empty((self.bound, spec.depth, spec.height, spec.width), np.uint8)
        self._affines = np.empty((self.bound, 2, 3))
        self._known = np.zeros(samples, bool)

    @property
    def triple(self) -> str:
        """The engine's own: what is kept is what it gave."""
        return self.engine.triple

    @property
    def why(self) -> str:
        """The engine's own."""
        return self.engine.why

    def read(self, positions: np.ndarray) -> Canvases:
        """Canvases of the positions, in their order."""
        positions = np.asarray(positions)
        missing = np.flatnonzero(~self._known[positions])
        if len(missing) == len(positions):
            found = self.engine.read(positions)
            self._store(positions, found, np.arange(len(positions)))
            return found
        held = np.flatnonzero(self._known[positions])
        fresh = self.engine.read(positions[missing])
        pixels = np.empty((len(positions), *self._pixels.shape[1:]), np.uint8)
        affines = np.empty((len(positions), 2, 3))
        pixels[held], affines[held] = self._pixels[positions[held]], self._affines[positions[held]]
        pixels[missing], affines[missing] = fresh.pixels, fresh.affines
        self._store(positions[missing], fresh, np.arange(len(missing)))
        return Canvases(pixels, affines, {int(missing[i]): why for i, why in fresh.damage.items()})

    def _store(self, positions: np.ndarray, found: Canvases, rows: np.ndarray) -> None:
        sound = np.array([i not in found.damage for i in rows], bool) & (positions < self.bound)
        kept = positions[sound]
        self._pixels[kept], self._affines[kept] = found.pixels[sound], found.affines[sound]
        self._known[kept] = True
