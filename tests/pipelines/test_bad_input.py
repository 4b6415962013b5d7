"""What users' folders really hold: every fault is a row or a clear error, and never costs the good clips."""

import csv
import shutil
import wave
from fractions import Fraction

import av
import numpy as np
import pandas as pd
import pytest

from agser_core import media
from agser_core.chain import extract_output
from agser_core.experiment import load_experiment

GOOD = "alder-01-neutral-1"
TEXT = "she met a calm happy crew"


def faceless_video(path, speech: np.ndarray) -> None:
    """Noise pictures with real speech at 16 kHz, so that only the face is missing."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=25)
        video.width, video.height, video.pix_fmt = 160, 120, "yuv420p"
        audio = container.add_stream("aac", rate=16000, layout="mono")
        for _ in range(25 * len(speech) // 16000):
            picture = av.VideoFrame.from_ndarray(rng.integers(0, 255, (120, 160, 3), dtype=np.uint8), format="rgb24")
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        for start in range(0, len(speech) - 1024, 1024):
            frame = av.AudioFrame.from_ndarray(speech[None, start : start + 1024], format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))


def empty_wav(path) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1), file.setsampwidth(2), file.setframerate(16000)


@pytest.fixture(scope="module")
def faulty(sample, write_experiment, tmp_path_factory):
    """A manifest corpus with one good clip and one clip a fault, extracted with a budget that allows them."""
    folder = tmp_path_factory.mktemp("faulty")
    good = sample.config.parent / "data" / "alder" / "video" / f"{GOOD}.mp4"
    shutil.copy(good, folder / "good.mp4")
    (folder / "truncated.mp4").write_bytes(good.read_bytes()[: good.stat().st_size // 2])
    empty_wav(folder / "empty.wav")
    faceless_video(folder / "faceless.mp4", media.read_audio(good))
    (folder / "nothing.mp4").write_bytes(b"")
    (folder / "text.wav").write_text("this is no sound")
    shutil.copy(good, folder / "silent_about_words.mp4")
    shutil.copy(good, folder / "unknown_word.mp4")
    rows = [
        ("good", "good.mp4", TEXT),
        ("truncated", "truncated.mp4", TEXT),
        ("empty", "empty.wav", TEXT),
        ("faceless", "faceless.mp4", TEXT),
        ("nothing", "nothing.mp4", TEXT),
        ("text", "text.wav", TEXT),
        ("no_transcript", "silent_about_words.mp4", ""),
        ("unknown_word", "unknown_word.mp4", "she met a zorblaxian crew"),
        ("missing", "missing.mp4", TEXT),
    ]
    with open(folder / "clips.csv", "w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("clip_id", "file", "speaker", "language", "emotion", "transcript"))
        writer.writerows((clip, name, "anna", "en", "neutral", text) for clip, name, text in rows)
    run = write_experiment(
        folder, {"faulty": {"adapter": "manifest", "path": str(folder)}}, extract={"failure_budget": 0.95}
    )
    run.stage("extract")
    return run


def tables(run):
    output = extract_output(load_experiment(str(run.config)), "faulty")
    return {name: output.table(name).to_pandas() for name in ("clips", "segments", "errors")}


@pytest.mark.parametrize(
    "clip, error_class, reason",
    [
        ("truncated", "media", "truncated.mp4"),
        ("empty", "media", "empty.wav"),
        ("faceless", "face", "no face"),
        ("nothing", "media", "nothing.mp4"),
        ("text", "media", "text.wav"),
        ("no_transcript", "transcript", "no transcript"),
        ("unknown_word", "transcript", "zorblaxian"),
        ("missing.mp4", "file", "missing.mp4"),
    ],
)
def test_each_fault_is_one_row_with_reason_and_remedy(faulty, clip, error_class, reason):
    rows = tables(faulty)["errors"].set_index("clip_id").loc[[clip]]
    assert len(rows) == 1
    row = rows.iloc[0]
    assert row["error_class"] == error_class
    assert reason in f"{row['reason']} {row['uri']}" and len(row["remedy"]) > 10 and row["step"]


def test_the_good_clip_is_unharmed(faulty, extracted):
    here = tables(faulty)
    assert here["clips"]["clip_id"].tolist() == ["good"]
    clean = extract_output(load_experiment(str(extracted.config)), "alder")
    there = clean.table("segments").to_pandas().query("clip_id == @GOOD").reset_index(drop=True)
    columns = ["phone", "start", "end", "n_frames", "mouth"]
    pd.testing.assert_frame_equal(here["segments"][columns], there[columns])


def test_the_exit_code_follows_the_budget(faulty):
    printed = faulty.stage("extract", "extract.failure_budget=0.1", code=1)
    assert "more than extract.failure_budget allows" in printed
    first = tables(faulty)["errors"].iloc[0]
    assert first["reason"] in printed and first["remedy"] in printed


def test_a_mended_clip_is_taken_up_and_a_removed_one_leaves(faulty, sample):
    folder = faulty.config.parent
    shutil.copy(sample.config.parent / "data" / "alder" / "video" / f"{GOOD}.mp4", folder / "truncated.mp4")
    rows = (folder / "clips.csv").read_text().splitlines()
    (folder / "clips.csv").write_text("\n".join(row for row in rows if not row.startswith("text,")) + "\n")
    faulty.stage("extract")
    now = tables(faulty)
    assert sorted(now["clips"]["clip_id"]) == ["good", "truncated"]
    assert "truncated" not in set(now["errors"]["clip_id"]) and "text" not in set(now["errors"]["clip_id"])
    assert "nothing to do" in faulty.stage("extract")


def test_two_clips_with_one_id(tmp_path, write_experiment):
    for name in ("one.wav", "two.wav"):
        empty_wav(tmp_path / name)
    (tmp_path / "clips.csv").write_text("clip_id,file,speaker\nsame,one.wav,anna\nsame,two.wav,anna\n")
    run = write_experiment(tmp_path, {"twice": {"adapter": "manifest", "path": str(tmp_path)}})
    printed = run.stage("extract", code=2)
    assert "same" in printed and "error:" in printed


def test_a_corpus_folder_that_does_not_exist(tmp_path, write_experiment):
    run = write_experiment(tmp_path, {"gone": {"adapter": "ravdess", "path": str(tmp_path / "nowhere")}})
    printed = run.stage("extract", code=2)
    assert "nowhere" in printed and "error:" in printed


def test_a_wrong_key_names_the_right_one(tmp_path, write_experiment):
    run = write_experiment(tmp_path, {"gone": {"adapter": "ravdess", "path": "x"}}, clustr={})
    assert "did you mean 'cluster'" in run.stage("extract", code=2)


def test_an_adapter_that_does_not_exist_names_the_nearest(tmp_path, write_experiment):
    run = write_experiment(tmp_path, {"gone": {"adapter": "ravdes", "path": "x"}})
    assert "did you mean 'ravdess'" in run.stage("extract", code=2)
