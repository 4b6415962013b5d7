"""The helper that makes corpus folders."""

from pathlib import Path

import pytest


@pytest.fixture
def make_tree(tmp_path: Path):
    """Make a folder with a corpus' published file names: {path: text}, or a list of paths for empty files."""

    def make(files: dict[str, str] | list[str]) -> str:
        for path, text in files.items() if isinstance(files, dict) else dict.fromkeys(files, "").items():
            target = tmp_path / path
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text, encoding="utf-8")
        return str(tmp_path)

    return make
