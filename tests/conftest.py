"""Fixtures: small shard folders made by the rendered source, which so documents the format."""

import os
from pathlib import Path

import pytest
import torch

from ingest import shard

ROOT = Path(__file__).resolve().parent.parent
REAL = Path(os.environ.get("OCR_REAL_DATA", ROOT.parent / "shared" / "data"))


@pytest.fixture(autouse=True, scope="session")
def _one_thread():
    # One thread: tests run side by side, and tiny tensors gain nothing from more.
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def words(tmp_path_factory) -> Path:
    """A data set folder with splits train (96 words), val (32) and test (32), 40 rows to a shard."""
    out = tmp_path_factory.mktemp("shards") / "words"
    for split, count in (("train", 96), ("val", 32), ("test", 32)):
        shard.main(["source=rendered", f"out={out}", f"split={split}", f"count={count}", "rows_per_shard=40"])
    return out


@pytest.fixture
def real() -> Path:
    """The folder of real data; the test is skipped where there is none."""
    if not REAL.is_dir():
        pytest.skip(f"no real data at {REAL}; OCR_REAL_DATA=DIR points elsewhere")
    return REAL
