"""What a user names to be predicted: files, folders, manifests; local or on S3."""

from __future__ import annotations

import io
from collections.abc import Iterable
from dataclasses import dataclass

from agser_core.corpora.listing import AUDIO, VIDEO, files_below, suffix
from agser_core.errors import AgserError
from agser_core.storage import Location

_TABLES = (".csv", ".parquet")
_COLUMNS = ("file", "transcript", "language", "phones")


@dataclass(frozen=True)
class Item:
    """One clip to be predicted."""

    file: str  # as the user named it: the name of its row
    uri: str
    transcript: str | None = None
    language: str | None = None  # ISO 639-1, of the transcript
    phones_uri: str | None = None  # TextGrid or EMO-DB label file


def find_items(names: Iterable[str]) -> list[Item]:
    """The clips behind names, in the given order.

    A folder stands for all media files below it, a .csv or .parquet table for its rows (column `file`, relative to the
    table; as you have them `transcript`, `language`, `phones`), anything else for itself. Raises AgserError for a
    folder without media files, a table without the column, and no name at all.
    """
    items: list[Item] = []
    for name in names:
        place = Location.parse(name)
        if suffix(place) in _TABLES:
            items += _manifest(place)
        elif place.is_folder():
            files = [file for file in files_below(name, "clips to predict") if suffix(file) in AUDIO | VIDEO]
            if not files:
                raise AgserError(f"no file below {place.uri} has the suffix of a sound or video file")
            items += [Item(_shown(name, place, file), file.uri) for file in files]
        else:
            items.append(Item(name, place.uri))
    if not items:
        raise AgserError("no clip to predict: name files, a folder, or a table with a column 'file'")
    return items


def _shown(name: str, folder: Location, file: Location) -> str:
    return name.rstrip("/") + file.uri.removeprefix(folder.uri)


def _manifest(table: Location) -> list[Item]:
    rows = _rows(table)
    if not rows or "file" not in rows[0]:
        has = f"; it has {', '.join(map(str, rows[0]))}" if rows else " or has no rows"
        raise AgserError(f"{table.uri} has no column 'file' with the clips' paths{has}")
    items = []
    for number, row in enumerate(rows, start=2):  # as an editor numbers a CSV file: the header is row 1
        cells = {column: str(row.get(column) or "").strip() or None for column in _COLUMNS}
        if cells["file"] is None:
            raise AgserError(f"{table.uri}, row {number}: the column 'file' is empty")
        phones = cells["phones"] and _resolved(cells["phones"], table.parent)
        uri = _resolved(cells["file"], table.parent)
        items.append(Item(cells["file"], uri, cells["transcript"], cells["language"], phones))
    return items


def _rows(table: Location) -> list[dict]:
    if not table.exists():
        raise AgserError(f"there is no table {table.uri}")
    content = table.read_bytes()
    if suffix(table) == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet

        try:
            return pyarrow.parquet.read_table(pa.BufferReader(content)).to_pylist()
        except pa.ArrowInvalid as error:
            raise AgserError(f"{table.uri} is no Parquet file: {error}") from error
    import csv

    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AgserError(f"{table.uri} is not UTF-8 text: save it as UTF-8") from error
    return list(csv.DictReader(io.StringIO(text, newline="")))


def _resolved(path: str, folder: Location) -> str:
    return Location.parse(path).uri if path.startswith(("/", "~", "s3://")) else folder.join(*path.split("/")).uri
