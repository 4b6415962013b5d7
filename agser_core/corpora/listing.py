"""Find a corpus' files with one listing, so that a folder on S3 costs a few requests and not one a clip."""

import os
from collections.abc import Iterable

from agser_core.errors import AgserError
from agser_core.storage import Location

AUDIO = frozenset({".wav", ".flac", ".ogg", ".mp3", ".m4a"})
VIDEO = frozenset({".mp4", ".mpg", ".mpeg", ".avi", ".flv", ".mov", ".mkv", ".webm"})


def suffix(location: Location) -> str:
    """The file name's suffix in lower case, with its dot."""
    return os.path.splitext(location.name)[1].lower()


def stem(location: Location) -> str:
    """The file name without its suffix."""
    return os.path.splitext(location.name)[0]


def files_below(root: str, what: str) -> list[Location]:
    """Every file below `root` in order of its path, hidden ones (`._x`, `.DS_Store`) left out.

    what: what the folder should hold, for the message. Raises AgserError where the folder is absent or empty.
    """
    folder = Location.parse(root)
    if not folder.exists():
        raise AgserError(f"no corpus folder {folder.uri}: give the folder that holds {what}")
    files = [file for file in folder.list(recursive=True) if not file.name.startswith(".")]
    if not files:
        raise AgserError(f"the corpus folder {folder.uri} is empty: it should hold {what}")
    return files


def by_stem(files: Iterable[Location], suffixes: Iterable[str]) -> dict[str, Location]:
    """The first file of each stem among those with one of the suffixes."""
    found: dict[str, Location] = {}
    for file in files:
        if suffix(file) in suffixes:
            found.setdefault(stem(file), file)
    return found


def existing(uris: Iterable[str]) -> set[str]:
    """Which of the files exist: one listing for each folder they lie in."""
    uris = set(uris)
    folders = {Location(uri).parent for uri in uris}
    return uris & {file.uri for folder in folders for file in folder.list()}
