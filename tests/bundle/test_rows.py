"""What strangers' folders hold: every fault is told in its row and changes no other file's."""

import json

import av
import numpy as np
import pyarrow.parquet
import pytest
import soundfile

from agser_core.bundle.inputs import find_items
from agser_core.bundle.model import load_model
from agser_core.bundle.rows import Wanted, flat, json_lines, nested, predict_item, text_lines, write_rows
from agser_core.errors import AgserError
from agser_core.storage import Location

NAN = np.where(np.arange(16000) == 9, np.nan, 0.1)
FAULTS = {
    "empty.wav": (lambda path: soundfile.write(path, np.zeros(0), 16000), "no audio sample"),
    "minutes.wav": (lambda path: soundfile.write(path, np.full(16000 * 600, 0.1), 16000), "600 s of audio"),
    "nan.wav": (lambda path: soundfile.write(path, NAN, 16000, subtype="FLOAT"), "not numbers"),
    "nothing.mp3": (lambda path: path.write_bytes(b""), "is empty"),
    "silent.wav": (lambda path: soundfile.write(path, np.zeros(16000), 16000), "silent"),
    "text.wav": (lambda path: path.write_text("this is no sound"), "no readable audio file"),
    "video.mp4": (lambda path: path.write_bytes(b"\x00" * 999), "can't be decoded"),
}


@pytest.fixture
def folder(tmp_path, speech):
    """Good files of several kinds among faulty ones."""
    place = tmp_path / "clips"
    place.mkdir()
    soundfile.write(place / "good.flac", speech, 16000)
    soundfile.write(place / "good.mp3", speech, 16000)
    film(place / "talk.mp4", speech)
    soundfile.write(place / "mono.wav", speech, 16000)
    soundfile.write(place / "narrow.wav", speech[::2], 8000)
    soundfile.write(place / "stereo.wav", np.stack([speech, speech], axis=1), 16000)
    for name, (make, _) in FAULTS.items():
        make(place / name)
    return place


def test_faults_are_told_and_harm_no_other_file(write, folder):
    model = load_model(write())
    rows = {
        row["file"].rpartition("/")[2]: row for row in (predict_item(model, item, Wanted()) for item in found(folder))
    }
    assert set(rows) == {*FAULTS, "good.flac", "good.mp3", "talk.mp4", "mono.wav", "narrow.wav", "stereo.wav"}
    for name, (_, words) in FAULTS.items():
        assert words in rows[name]["error"] and rows[name]["label"] is None, name
        assert ": " in rows[name]["error"]  # reason and remedy
    (alone,) = (predict_item(model, item, Wanted()) for item in find_items([str(folder / "good.flac")]))
    assert rows["good.flac"]["probabilities"] == alone["probabilities"]
    assert rows["stereo.wav"]["probabilities"] == pytest.approx(rows["mono.wav"]["probabilities"], abs=1e-6)
    for lossy in ("good.mp3", "talk.mp4"):
        assert rows[lossy]["probabilities"] == pytest.approx(rows["mono.wav"]["probabilities"], abs=0.05), lossy
    assert "8000 Hz" in rows["narrow.wav"]["warning"] and rows["narrow.wav"]["error"] is None


def film(path, speech):
    """A film with that sound as AAC and a few grey frames."""
    with av.open(str(path), "w") as container:
        picture, sound = container.add_stream("mpeg4", rate=25), container.add_stream("aac", rate=16000)
        picture.width = picture.height = 64
        for _ in range(5):
            container.mux(picture.encode(av.VideoFrame.from_ndarray(np.full((64, 64, 3), 128, np.uint8), "rgb24")))
        frame = av.AudioFrame.from_ndarray(speech[None], format="fltp", layout="mono")
        frame.sample_rate = 16000
        container.mux(sound.encode(frame))
        for stream in (picture, sound):
            container.mux(stream.encode())


def found(folder):
    return find_items([str(folder)])


def test_tables_name_files_transcripts_and_phones(tmp_path, folder):
    table = tmp_path / "clips.csv"
    table.write_text("file,transcript,language,other\nclips/good.flac,one two,en,x\n/else/b.wav,,,y\n")
    first, second = find_items([str(table)])
    assert first.uri == str(folder / "good.flac") and (first.transcript, first.language) == ("one two", "en")
    assert second.uri == "/else/b.wav" and second.transcript is None
    pyarrow.parquet.write_table(pyarrow.table({"file": ["clips/good.flac"]}), tmp_path / "clips.parquet")
    assert find_items([str(tmp_path / "clips.parquet")])[0].uri == first.uri
    table.write_text("path\na.wav\n")
    with pytest.raises(AgserError, match="no column 'file'.*it has path"):
        find_items([str(table)])


def test_phone_labels_are_used_where_given(write, folder, tmp_path):
    tiers = [(0.4, 0.7, "AA1"), (0.7, 1.2, "S")]
    intervals = "\n".join(f'{start}\n{end}\n"{label}"' for start, end, label in tiers)
    text = 'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n3\n<exists>\n1\n'
    text += '"IntervalTier"\n"phones"\n0.4\n1.2\n2\n'
    (tmp_path / "good.TextGrid").write_text(text + intervals + "\n")
    (tmp_path / "clips.csv").write_text("file,phones\nclips/good.flac,good.TextGrid\n")
    (item,) = find_items([str(tmp_path / "clips.csv")])
    row = predict_item(load_model(write()), item, Wanted(emphasis=True))
    assert row["error"] is None and row["phones"] == "aligned"
    assert [span["phone"] for span in row["emphasis"]] == ["AA", "S"]


@pytest.mark.parametrize("wanted", [Wanted(), Wanted(embedding=True, emphasis=True)])
def test_rows_survive_every_format(write, folder, tmp_path, wanted):
    model = load_model(write())
    rows = [predict_item(model, item, wanted) for item in found(folder)]
    for kind in ("parquet", "jsonl", "table"):
        write_rows(iter(rows), kind, model.classes, wanted, Location.parse(tmp_path / f"out.{kind}"))
    back = [nested(row, model.classes) for row in pyarrow.parquet.read_table(tmp_path / "out.parquet").to_pylist()]
    for row, other in zip(rows, back, strict=True):
        assert row["error"] == other["error"] and row["label"] == other["label"]
        if row["error"] is None:
            assert other["probabilities"] == pytest.approx(row["probabilities"], abs=1e-6)
            assert len(other.get("emphasis", [])) == len(row.get("emphasis", []))
            assert other.get("embedding") == pytest.approx(row.get("embedding"), abs=1e-6)
    assert [json.loads(line) for line in (tmp_path / "out.jsonl").read_text().splitlines()] == rows
    assert len((tmp_path / "out.table").read_text().splitlines()) >= len(rows) + 1
    assert list(json_lines(rows)) and list(text_lines(rows, model.classes)) and "probability_anger" in flat(rows[1])


def test_a_writer_that_fails_leaves_the_old_file(tmp_path):
    target = tmp_path / "out.jsonl"
    target.write_text("old")

    def rows():
        yield {"file": "a"}
        raise AgserError("power cut")

    with pytest.raises(AgserError):
        write_rows(rows(), "jsonl", [], Wanted(), Location.parse(target))
    assert target.read_text() == "old" and [file.name for file in tmp_path.iterdir()] == ["out.jsonl"]


@pytest.mark.slow
def test_memory_is_flat_over_many_files(write, tmp_path, speech):
    """10,000 files: what a file takes is given back."""
    import os

    def resident() -> float:
        pages = int(open("/proc/self/statm").read().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    soundfile.write(tmp_path / "one.wav", speech[:16000], 16000)
    model = load_model(write())
    (item,) = find_items([str(tmp_path / "one.wav")])
    sizes = []

    def rows():
        for number in range(10_000):
            yield predict_item(model, item, Wanted(embedding=True, emphasis=True))
            if number % 2000 == 1999:
                sizes.append(resident())

    write_rows(rows(), "parquet", model.classes, Wanted(True, True), Location.parse(tmp_path / "out.parquet"))
    assert pyarrow.parquet.read_metadata(tmp_path / "out.parquet").num_rows == 10_000
    assert sizes[-1] - sizes[0] < 30, sizes  # MiB
