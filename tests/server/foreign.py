"""The published catalogue's model files, for tests."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DATA = Path(os.environ.get("TINYFLEET_DATA", ROOT.parent / "shared" / "data"))
FILES = sorted((DATA / "tinyml_catalogue" / "models").glob("*.tflite"))
NEEDED = pytest.mark.skipif(not FILES, reason="the published catalogue is not here")


def foreign(name: str) -> bytes:
    return next(path for path in FILES if path.stem == name).read_bytes()
