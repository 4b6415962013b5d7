"""audformat databases: a tree as the package writes it (1.4.3), in CSV and Parquet."""

import pyarrow.csv
import pyarrow.parquet
import pytest

from agser_core import corpora
from agser_core.errors import AgserError

HEADER = """name: mini
source: ''
usage: unrestricted
languages: [deu]
schemes:
  emotion: {dtype: str, labels: [neutral, anger, happy]}
  speaker: {dtype: str, labels: SPEAKERS}
  transcription:
    dtype: str
    labels: {a01: Hello there, a02: Good bye}
splits:
  test: {type: test}
  train: {type: train}
tables:
  emotion.test: {type: filewise, split_id: test, columns: {emotion: {scheme_id: emotion}}}
  emotion.train: {type: filewise, split_id: train, columns: {emotion: {scheme_id: emotion}}}
  files: {type: filewise, columns: {speaker: {scheme_id: speaker}, transcription: {scheme_id: transcription}}}
  parts: {type: segmented, columns: {emotion: {scheme_id: emotion}}}
misc_tables:
  people: {levels: {person: str}, columns: {gender: {}}}
"""
TABLES = {
    "emotion.test": "file,emotion\naudio/c.wav,anger\n",
    "emotion.train": "file,emotion\naudio/a.wav,neutral\naudio/b.wav,happy\n",
    "files": "file,speaker,transcription\naudio/a.wav,1,a01\naudio/b.wav,1,a02\naudio/c.wav,2,\naudio/d.wav,2,a01\n",
    "people": "person,gender\n1,female\n2,male\n",
}
SPEAKERS = {"dictionary": "{1: {gender: female, age: 3}, 2: {gender: male}}", "misc table": "people"}


@pytest.mark.parametrize("speakers", SPEAKERS)
@pytest.mark.parametrize("storage", ["csv", "parquet"])
def test_a_database(make_tree, tmp_path, speakers, storage):
    root = make_tree(
        {"db.yaml": HEADER.replace("SPEAKERS", SPEAKERS[speakers])}
        | {f"db.{name}.csv": text for name, text in TABLES.items()}
        | dict.fromkeys(["audio/a.wav", "audio/b.wav", "audio/c.wav"], "")
    )
    if storage == "parquet":
        for name in TABLES:
            as_csv = tmp_path / f"db.{name}.csv"
            pyarrow.parquet.write_table(pyarrow.csv.read_csv(as_csv), tmp_path / f"db.{name}.parquet")
            as_csv.unlink()
    corpus = corpora.read("audformat", root)
    assert [clip.emotion for clip in corpus.clips] == ["neutral", "happiness", "anger"]
    assert [clip.fold for clip in corpus.clips] == ["train", "train", "test"]
    assert [clip.speaker for clip in corpus.clips] == ["mini-1", "mini-1", "mini-2"]
    assert [clip.gender for clip in corpus.clips] == ["female", "female", "male"]
    assert [clip.transcript for clip in corpus.clips] == ["Hello there", "Good bye", None]
    assert {clip.language for clip in corpus.clips} == {"de"}
    assert [problem.uri.rpartition("/")[2] for problem in corpus.problems] == ["d.wav"]
    assert corpus.notes == {"segmented tables left alone": ["parts"]}


def test_what_cannot_be_read_is_said(make_tree):
    header = HEADER.replace("SPEAKERS", SPEAKERS["dictionary"])
    root = make_tree({"db.yaml": header, "db.files.pkl": ""})
    with pytest.raises(AgserError, match="neither CSV nor Parquet.*storage_format='csv'"):
        corpora.read("audformat", root)
    root = make_tree({f"db.{name}.csv": text for name, text in TABLES.items()})
    with pytest.raises(AgserError, match="no file-wise table has a column 'talker'; there are emotion, speaker"):
        corpora.read("audformat", root, speaker="talker")
