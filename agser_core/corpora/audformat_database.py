"""Databases in audformat's own layout: `db.yaml` and a table a file, `db.<table>.csv` or `.parquet`.

Clips are the rows of the file-wise tables; their columns of one file are put together. Labels of a scheme may be
a dictionary (a speaker with a gender, a sentence code with its text) or the name of a misc table with the same.
Format: https://audeering.github.io/audformat/ (files.rst, schemes).
"""

import csv
import io

import yaml

from agser_core.corpora.clip import Clip, Corpus, Problem, emotion_word, gender_word
from agser_core.corpora.listing import VIDEO, existing, stem, suffix
from agser_core.errors import AgserError
from agser_core.storage import Location

_ISO_639_1 = {"eng": "en", "deu": "de", "zho": "zh", "cmn": "zh", "fra": "fr", "spa": "es", "ita": "it", "dan": "da"}


def read(
    root: str,
    name: str | None = None,
    emotion: str = "emotion",
    speaker: str = "speaker",
    transcription: str = "transcription",
) -> Corpus:
    """Read the database in the folder `root`.

    name: the corpus' name, by default the database's. emotion, speaker, transcription: the columns that hold them, in
    whatever file-wise table. The fold is the split (train, dev, test) of the clip's tables, where they have one.
    Raises AgserError for a folder without db.yaml, tables stored in another way, and a database without the columns.
    """
    folder = Location.parse(root)
    header_file = folder.join("db.yaml")
    if not header_file.exists():
        raise AgserError(f"no audformat database at {folder.uri}: give the folder that holds db.yaml")
    header = yaml.safe_load(header_file.read_text())
    rows = _filewise_rows(folder, header)
    for column in (emotion, speaker):
        if not any(row.get(column) for row in rows.values()):
            known = ", ".join(sorted({name for row in rows.values() for name in row} - {"file", _SPLIT}))
            raise AgserError(f"{header_file.uri}: no file-wise table has a column {column!r}; there are {known}")
    speakers, sentences = _labels(folder, header, speaker), _labels(folder, header, transcription)
    languages = [_ISO_639_1.get(language, language) for language in header.get("languages", [])]
    corpus = name or header["name"]
    short = len({stem(Location(file)) for file in rows}) == len(rows)
    there = existing(folder.join(file).uri for file in rows)
    clips, problems = [], []
    for file, row in sorted(rows.items()):
        media = folder.join(file)
        if media.uri not in there:
            problems.append(Problem(media.uri, "no such file, though a table names it", "copy the media there"))
            continue
        if not row.get(speaker):
            problems.append(Problem(media.uri, f"the column {speaker!r} is empty", "every clip needs its speaker"))
            continue
        code, text = row[speaker], row.get(transcription)
        word = emotion_word(row.get(emotion))
        clips.append(
            Clip(
                clip_id=stem(media) if short else file.rpartition(".")[0],
                corpus=corpus,
                speaker=f"{corpus}-{code}",
                gender=gender_word(speakers.get(code, {}).get("gender") or row.get("gender")),
                language=languages[0] if len(languages) == 1 else None,
                emotion=word,
                label_rule="audformat" if word else None,
                transcript=sentences.get(text, {}).get("", text) or None,
                audio_uri=media.uri,
                video_uri=media.uri if suffix(media) in VIDEO else None,
                fold=row.get(_SPLIT),
            )
        )
    segmented = [table for table, facts in header.get("tables", {}).items() if facts["type"] != "filewise"]
    notes = {"segmented tables left alone": segmented} if segmented else {}
    return Corpus(corpus, clips, problems, notes=notes)


_SPLIT = ""  # the split's place in a row of columns: no column has an empty name


def _filewise_rows(folder: Location, header: dict) -> dict[str, dict[str, str]]:
    """The columns of every file, from all file-wise tables together."""
    rows: dict[str, dict[str, str]] = {}
    for table, facts in header.get("tables", {}).items():
        if facts["type"] != "filewise":
            continue
        split = facts.get("split_id")
        for row in _table(folder, table):
            cells = rows.setdefault(row["file"], {})
            cells.update({column: cell for column, cell in row.items() if cell})
            if split:
                cells[_SPLIT] = header["splits"][split]["type"]
    return rows


def _labels(folder: Location, header: dict, column: str) -> dict[str, dict[str, str]]:
    """What is known of each label of a column: attributes by name; a label's plain text under the empty name."""
    tables = header.get("tables", {}).values()
    schemes = {facts["columns"][column].get("scheme_id") for facts in tables if column in (facts.get("columns") or {})}
    known: dict[str, dict[str, str]] = {}
    for scheme in schemes - {None}:
        labels = header["schemes"][scheme].get("labels")
        if isinstance(labels, dict):
            for label, value in labels.items():
                known[str(label)] = value if isinstance(value, dict) else {"": str(value)}
        elif isinstance(labels, str):
            (level,) = header["misc_tables"][labels]["levels"]
            known.update({row[level]: row for row in _table(folder, labels)})
    return known


def _table(folder: Location, table: str) -> list[dict[str, str]]:
    """The rows of one table, cells as text."""
    as_csv, as_parquet = folder.join(f"db.{table}.csv"), folder.join(f"db.{table}.parquet")
    if as_csv.exists():
        return list(csv.DictReader(io.StringIO(as_csv.read_text("utf-8-sig"), newline="")))
    if as_parquet.exists():
        import pyarrow as pa
        import pyarrow.parquet

        rows = pyarrow.parquet.read_table(pa.BufferReader(as_parquet.read_bytes())).to_pylist()
        return [{column: "" if cell is None else str(cell) for column, cell in row.items()} for row in rows]
    raise AgserError(
        f"{folder.uri}: the table {table!r} is neither CSV nor Parquet. Store it so with the package audformat: "
        f"audformat.Database.load({folder.uri!r}).save({folder.uri!r}, storage_format='csv')"
    )
