"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with clips of real corpora, which only some machines have."""
    folder = Path(os.environ.get("AGSER_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real corpora at {folder}: set AGSER_REAL_DATA to a folder with ravdess/, grid_s1/, emodb/")
    return folder
