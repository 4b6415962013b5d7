"""Manifests: which columns, which mistakes are caught, and what the clips are."""

import pyarrow as pa
import pyarrow.parquet
import pytest

from agser_core import corpora
from agser_core.errors import AgserError

HEADER = "clip_id,file,speaker,gender,language,emotion,transcript,fold\n"


def test_the_full_table(make_tree):
    root = make_tree(
        {
            "clips.csv": HEADER + 'a1,media/a1.mp4,anna,female,en,Happy,"dogs, sitting",1\nb1,b1.wav,bob,m,,,,2\n',
            "media/a1.mp4": "",
            "b1.wav": "",
        }
    )
    corpus = corpora.read("sample", root, name="alpha", language="de")
    anna, bob = corpus.clips
    assert (anna.clip_id, anna.corpus, anna.speaker, anna.gender) == ("a1", "alpha", "alpha-anna", "female")
    assert (anna.emotion, anna.label_rule, anna.transcript) == ("happiness", "manifest", "dogs, sitting")
    assert anna.video_uri == anna.audio_uri and anna.language == "en" and anna.fold == "1"
    assert (bob.gender, bob.language, bob.emotion, bob.transcript) == ("male", "de", None, None)
    assert bob.video_uri is None and bob.label_rule is None


def test_optional_columns_may_be_missing_and_others_are_left_alone(make_tree):
    root = make_tree({"table.csv": "file,speaker,age\nx/a.wav,anna,30\n", "x/a.wav": ""})
    corpus = corpora.read("manifest", root)
    assert corpus.clips[0].clip_id == "a" and corpus.notes == {"columns left alone": ["age"]}


def test_parquet_gives_the_same_clips(make_tree, tmp_path):
    root = make_tree({"csv/clips.csv": HEADER + f"a,{tmp_path}/a.wav,anna,,en,sad,hello,3\n", "a.wav": ""})
    table = {"clip_id": ["a"], "file": [f"{tmp_path}/a.wav"], "speaker": ["anna"], "emotion": ["sad"], "fold": [3]}
    table |= {"language": ["en"], "transcript": ["hello"], "gender": pa.nulls(1, pa.string())}
    pyarrow.parquet.write_table(pa.table(table), tmp_path / "clips.parquet")
    from_parquet = corpora.read("manifest", root, name="x").clips
    assert from_parquet == corpora.read("manifest", f"{root}/csv", name="x").clips and from_parquet[0].fold == "3"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("clip_id,path,speakr", "no column 'file'; the nearest it has is"),
        ("file,speakr", "no column 'speaker'; the nearest it has is 'speakr'"),
        ("file,speaker,emotoin", "column 'emotoin': did you mean 'emotion'"),
        ("file,speaker,transcripts", "column 'transcripts': did you mean 'transcript'"),
    ],
)
def test_a_wrong_column_is_named_with_the_nearest_right_one(make_tree, header, message):
    row = ",".join("x" * len(header.split(",")))
    with pytest.raises(AgserError, match=message):
        corpora.read("manifest", make_tree({"clips.csv": f"{header}\n{row}\n"}))


def test_two_clips_with_one_id_name_both_rows(make_tree):
    root = make_tree({"clips.csv": "clip_id,file,speaker\na,1.wav,x\nb,2.wav,x\na,3.wav,x\n"})
    with pytest.raises(AgserError, match="rows 2 and 4 have the same clip id 'a'"):
        corpora.read("manifest", root)


def test_files_that_are_not_there_are_problems(make_tree):
    root = make_tree(
        {
            "clips.csv": "clip_id,file,speaker,phones\na,a.wav,x,a.TextGrid\nb,b.wav,x,\nc,c.wav,x,c.TextGrid\n",
            "a.wav": "",
            "c.wav": "",
            "c.TextGrid": "",
        }
    )
    corpus = corpora.read("manifest", root)
    assert [(clip.clip_id, clip.phones_uri is not None) for clip in corpus.clips] == [("a", False), ("c", True)]
    named = {problem.uri.rpartition("/")[2]: problem for problem in corpus.problems}
    assert set(named) == {"a.TextGrid", "b.wav"}
    assert "row 3" in named["b.wav"].reason and named["b.wav"].remedy


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({"clips.csv": "file,speaker\n"}, "no rows"),
        ({"clips.csv": ""}, "no rows"),
        ({"clips.csv": "file,speaker\na.wav,\n"}, "row 2: the column 'speaker' is empty"),
        ({"clips.parquet": "not parquet"}, "no Parquet file"),
        ({"one.csv": "", "two.csv": ""}, "holds 2 tables"),
    ],
)
def test_tables_that_cannot_be_read(make_tree, files, message):
    with pytest.raises(AgserError, match=message):
        corpora.read("manifest", make_tree(files))


def test_text_in_another_encoding_is_refused(tmp_path):
    (tmp_path / "clips.csv").write_bytes("file,speaker\na.wav,Jürgen\n".encode("latin-1"))
    with pytest.raises(AgserError, match="UTF-8"):
        corpora.read("manifest", str(tmp_path))
