"""Any corpus that comes with a table of its clips, as CSV or Parquet: one row a clip.

    clip_id,file,speaker,gender,language,emotion,transcript,fold
    anna-01,media/anna-01.mp4,anna,female,en,happiness,"Dogs are sitting by the door",1

Only `file` and `speaker` must be there. Paths are relative to the table's folder, absolute, or s3://.
"""

import csv
import dataclasses
import difflib
import io

from agser_core.corpora.clip import Clip, Corpus, Problem, emotion_word, gender_word
from agser_core.corpora.listing import VIDEO, existing, stem, suffix
from agser_core.errors import AgserError
from agser_core.storage import Location

REQUIRED = ("file", "speaker")
OPTIONAL = ("clip_id", "gender", "language", "emotion", "label_rule", "transcript", "fold", "phones")
"""Other columns are left alone, unless one is so alike to a missing one that it must be a slip."""

_NAMES = ("clips.csv", "clips.parquet", "manifest.csv", "manifest.parquet")


def read(root: str, name: str | None = None, language: str | None = None) -> Corpus:
    """Read a manifest: the table itself, or the folder that holds it as clips.csv, clips.parquet or manifest.csv.

    name: the corpus' name, by default its folder's. language: for the rows that state none (ISO 639-1).
    A clip_id that is absent is the file's name without its suffix. Raises AgserError for a table that can't be read, a
    missing column, and two clips with one id; a file that is not there is a Problem and its clip is left out.
    """
    table = _find(Location.parse(root))
    rows = _rows(table)
    other_columns = _check_columns(rows, table)
    corpus = name or table.parent.name
    clips, row_of, problems = [], {}, []
    for number, row in enumerate(rows, start=2):  # as an editor numbers a CSV file: the header is row 1
        for column in REQUIRED:
            if not row[column]:
                raise AgserError(f"{table.uri}, row {number}: the column {column!r} is empty")
        clip = _clip(row, corpus, language, table.parent)
        if clip.clip_id in row_of:
            raise AgserError(
                f"{table.uri}: rows {row_of[clip.clip_id]} and {number} have the same clip id {clip.clip_id!r}: "
                "give every clip an id of its own in the column clip_id"
            )
        row_of[clip.clip_id] = number
        clips.append(clip)
    there = existing(uri for clip in clips for uri in (clip.audio_uri, clip.phones_uri) if uri)
    present = []
    for clip in clips:
        where = f"named in row {row_of[clip.clip_id]} of {table.name}"
        if clip.phones_uri and clip.phones_uri not in there:
            remedy = "mend the path; until then the clip's phones are aligned from its transcript"
            problems.append(Problem(clip.phones_uri, f"no such label file, {where}", remedy))
            clip = dataclasses.replace(clip, phones_uri=None)
        if clip.audio_uri in there:
            present.append(clip)
        else:
            problems.append(Problem(clip.audio_uri, f"no such file, {where}", "mend the path or copy the file there"))
    notes = {"columns left alone": other_columns} if other_columns else {}
    return Corpus(corpus, present, problems, notes=notes)


def _find(place: Location) -> Location:
    if not place.exists():
        raise AgserError(f"no manifest at {place.uri}: give a CSV or Parquet table, or the folder that holds clips.csv")
    if not place.is_folder():
        return place
    tables = {file.name: file for file in place.list() if suffix(file) in (".csv", ".parquet")}
    for name in _NAMES:
        if name in tables:
            return tables[name]
    if len(tables) == 1:
        return next(iter(tables.values()))
    raise AgserError(
        f"the folder {place.uri} holds {len(tables)} tables, none of them called {' or '.join(_NAMES)}: "
        "give the path of the one to read"
    )


def _rows(table: Location) -> list[dict]:
    """All rows, cells as stripped text, empty for null."""
    if suffix(table) == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet

        try:
            rows = pyarrow.parquet.read_table(pa.BufferReader(table.read_bytes())).to_pylist()
        except pa.ArrowInvalid as error:
            raise AgserError(f"{table.uri} is no Parquet file: {error}") from error
        return [{column: "" if cell is None else str(cell).strip() for column, cell in row.items()} for row in rows]
    try:
        text = table.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise AgserError(f"{table.uri} is not UTF-8 text: save it as UTF-8") from error
    reader = csv.DictReader(io.StringIO(text, newline=""), restkey="", restval="")
    return [{column.strip(): cell.strip() for column, cell in row.items() if column} for row in reader]


def _check_columns(rows: list[dict], table: Location) -> list[str]:
    """Raise for a required column that is missing and for a misspelt optional one; the names of all others."""
    if not rows:
        raise AgserError(
            f"{table.uri} has no rows: it needs a header with {', '.join(REQUIRED)} and a row for each clip"
        )
    columns = list(rows[0])
    others = [column for column in columns if column not in REQUIRED + OPTIONAL]
    for column in REQUIRED:
        if column not in columns:
            close = difflib.get_close_matches(column, others, 1) or difflib.get_close_matches(column, columns, 1, 0)
            raise AgserError(f"{table.uri} has no column {column!r}; the nearest it has is {close[0]!r}: rename it")
    for column in others:
        close = difflib.get_close_matches(column, [name for name in OPTIONAL if name not in columns], 1, 0.75)
        if close:
            raise AgserError(f"{table.uri} has a column {column!r}: did you mean {close[0]!r}? Rename or remove it")
    return others


def _clip(row: dict, corpus: str, language: str | None, folder: Location) -> Clip:
    media = _resolve(row["file"], folder)
    emotion = emotion_word(row.get("emotion"))
    speaker = row["speaker"]
    return Clip(
        clip_id=row.get("clip_id") or stem(media),
        corpus=corpus,
        speaker=speaker if speaker.startswith(f"{corpus}-") else f"{corpus}-{speaker}",
        gender=gender_word(row.get("gender")),
        language=row.get("language") or language,
        emotion=emotion,
        label_rule=row.get("label_rule") or ("manifest" if emotion else None),
        transcript=row.get("transcript") or None,
        audio_uri=media.uri,
        video_uri=media.uri if suffix(media) in VIDEO else None,
        phones_uri=_resolve(row["phones"], folder).uri if row.get("phones") else None,
        fold=row.get("fold") or None,
    )


def _resolve(path: str, folder: Location) -> Location:
    return Location.parse(path) if path.startswith(("/", "~", "s3://")) else folder.join(*path.split("/"))
