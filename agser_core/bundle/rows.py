"""From files to rows: a prediction or an error for every file, as dictionaries, Arrow, JSON lines or text."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agser_core.bundle.inputs import Item
from agser_core.bundle.sound import read_clip
from agser_core.errors import ClipError
from agser_core.media import SAMPLING_RATE
from agser_core.storage import Location

if TYPE_CHECKING:  # torch is loaded with the model, not with the command line
    from agser_core.bundle.model import Model, Prediction

FORMATS = ("table", "jsonl", "parquet")
_ROWS_AT_ONCE = 256  # that a Parquet file takes at once
_COPY_BYTES = 1 << 20


@dataclass(frozen=True)
class Wanted:
    """What a row tells beside label and probabilities."""

    embedding: bool = False
    emphasis: bool = False


def predict_item(model: Model, item: Item, wanted: Wanted) -> dict:
    """The row of a file. What is wrong with a file is told in its row and harms no other file.

    file, label, probabilities {class: share}, phones (aligned | windows), warning, error, and as wanted embedding,
    emphasis [{phone, start, end, share}]. Raises StorageError where the storage fails, which says nothing of the file.
    """
    try:
        found = _predict(model, item)
    except ClipError as error:
        text = f"{error.reason}: {error.remedy}" if error.remedy else error.reason
        row = {"file": item.file, "label": None, "probabilities": None, "phones": None, "warning": None, "error": text}
        return row | _further(None, wanted)
    row = {"file": item.file, "label": found.label, "probabilities": found.probabilities, "phones": found.phones}
    return row | {"warning": found.warning, "error": None} | _further(found, wanted)


def read_waveforms(items: Iterable[Item]) -> Iterator:
    """The waveforms of files at 16 kHz; raises ClipError at the first that can't be read."""
    for item in items:
        with _copy(item.uri) as path:
            yield read_clip(path)[0]


def schema(classes: list[str], wanted: Wanted):
    """Arrow schema of the rows; probabilities become a column a class."""
    import pyarrow as pa

    text = pa.string()
    fields = [("file", text), ("label", text), *((f"probability_{name}", pa.float32()) for name in classes)]
    fields += [("phones", text), ("warning", text), ("error", text)]
    if wanted.embedding:
        fields.append(("embedding", pa.list_(pa.float32())))
    if wanted.emphasis:
        span = [("phone", text), ("start", pa.float32()), ("end", pa.float32()), ("share", pa.float32())]
        fields.append(("emphasis", pa.list_(pa.struct(span))))
    return pa.schema(fields)


def flat(row: dict) -> dict:
    """A row with its probabilities as columns."""
    shares = row["probabilities"] or {}
    return {**row, **{f"probability_{name}": share for name, share in shares.items()}}


def nested(row: dict, classes: list[str]) -> dict:
    """The inverse of `flat`, as rows come back from Parquet."""
    shares = {name: row.pop(f"probability_{name}") for name in classes}
    return {**row, "probabilities": None if row["label"] is None else shares}


def text_lines(rows: Iterable[dict], classes: list[str]) -> Iterator[str]:
    """A header and a line a row; below it, where wanted, a line a phone."""
    yield "  ".join([f"{'label':10}", *(f"{name:>10}" for name in classes), f"{'phones':8}", "file"])
    for row in rows:
        if row["error"]:
            yield f"{'-':10}  {row['file']}: {row['error']}"
            continue
        shares = [f"{row['probabilities'][name]:10.3f}" for name in classes]
        note = f"  ({row['warning']})" if row["warning"] else ""
        yield "  ".join([f"{row['label']:10}", *shares, f"{row['phones']:8}", row["file"]]) + note
        for span in row.get("emphasis") or []:
            name, times = span["phone"] or "window", f"{span['start']:6.2f}-{span['end']:.2f} s"
            yield f"{'':10}  {name:6} {times}  {span['share']:.3f}"
        if row.get("embedding") is not None:
            yield f"{'':10}  embedding " + " ".join(f"{value:.4g}" for value in row["embedding"])


def json_lines(rows: Iterable[dict]) -> Iterator[str]:
    return (json.dumps(row, ensure_ascii=False) for row in rows)


def write_rows(rows: Iterable[dict], kind: str, classes: list[str], wanted: Wanted, target: Location) -> None:
    """Write rows to a file, whole or not at all, a few rows in memory at a time. kind: one of FORMATS."""
    with _replacing(target) as path:
        if kind == "parquet":
            _write_parquet(rows, classes, wanted, path)
            return
        lines = json_lines(rows) if kind == "jsonl" else text_lines(rows, classes)
        with open(path, "w", encoding="utf-8") as stream:
            stream.writelines(f"{line}\n" for line in lines)


def _predict(model: Model, item: Item) -> Prediction:
    with _copy(item.uri) as path:
        waveform, warning = read_clip(path)
    phones = None
    if item.phones_uri:
        from agser_core.phones.label_files import read_phones

        with _copy(item.phones_uri) as path:
            phones, _ = read_phones(path, len(waveform) / SAMPLING_RATE)
    return model.predict_clean(waveform, warning, item.transcript, item.language or "en", phones)


def _further(found: Prediction | None, wanted: Wanted) -> dict:
    more: dict = {}
    if wanted.embedding:
        more["embedding"] = found and found.embedding.tolist()
    if wanted.emphasis:
        more["emphasis"] = found and [
            {"phone": phone.label or None, "start": phone.start, "end": phone.end, "share": share}
            for phone, share in found.emphasis
        ]
    return more


@contextlib.contextmanager
def _copy(uri: str) -> Iterator[str]:
    """A local path of a file; a missing object of S3 is a fault of the clip, like a missing file."""
    place = Location(uri)
    if not place.is_local and not place.exists():
        raise ClipError(f"there is no object {uri}", remedy="correct the path")
    with place.local_copy() as path:
        yield path


def _write_parquet(rows: Iterable[dict], classes: list[str], wanted: Wanted, path: str) -> None:
    import itertools

    import pyarrow.parquet

    from agser_core.tables import from_rows

    fields, left = schema(classes, wanted), iter(rows)
    with pyarrow.parquet.ParquetWriter(path, fields, compression="zstd") as writer:
        while part := list(itertools.islice(left, _ROWS_AT_ONCE)):
            columns = [{name: value for name, value in flat(row).items() if name in fields.names} for row in part]
            writer.write_table(from_rows(columns, fields))


@contextlib.contextmanager
def _replacing(target: Location) -> Iterator[str]:
    """A local path to write to, whose content becomes the target at the end, if all went well."""
    beside = os.path.dirname(target.path) if target.is_local else None
    if beside:
        os.makedirs(beside, exist_ok=True)
    handle, path = tempfile.mkstemp(dir=beside, prefix=".agser-")
    os.close(handle)
    try:
        yield path
        if target.is_local:
            os.chmod(path, 0o644)
            os.replace(path, target.path)
            return
        with open(path, "rb") as stream, target.filesystem.open_output_stream(target.path) as sink:
            while block := stream.read(_COPY_BYTES):
                sink.write(block)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
