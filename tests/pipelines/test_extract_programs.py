"""OpenFace's FeatureExtraction and `mfa align` as programs: small ones here that write the real files' grammar."""

import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

from agser_core.corpora.clip import Clip
from agser_core.errors import AgserError
from agser_core.experiment import ExtractSettings
from agser_core.extraction import ClipExtractor

OPENFACE = """
import sys
from pathlib import Path

import av

given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert sys.argv[5:7] == ["-of", "clip"] and sys.argv[7:] == ["-2Dfp", "-q"], sys.argv
if "broken" in given["-f"]:
    sys.exit("Could not open the video file")
if "slow" in given["-f"]:
    import time
    time.sleep(60)
points = [f"{axis}_{i}" for axis in "xy" for i in range(68)]
lines = [", ".join(["frame", "face_id", "timestamp", "confidence", "success", *points])]
with av.open(given["-f"]) as container:
    for number, frame in enumerate(container.decode(video=0)):
        places = [f"{100 + i + number:.1f}" for i in range(68)] + [f"{200 + i % 7:.1f}" for i in range(68)]
        lines.append(", ".join([str(number + 1), "0", f"{frame.time:.3f}", "0.98", "1", *places]))
Path(given["-out_dir"], "clip.csv").write_text("\\n".join(lines) + "\\n")
"""

MFA = """
import sys
from pathlib import Path

import soundfile

*options, corpus, dictionary, model, out = sys.argv[1:]
assert options[:5] == ["align", "--clean", "--quiet", "-j", "1"] and (dictionary, model) == ("words", "phones")
with open(Path(sys.argv[0]).with_suffix(".runs"), "a") as runs:
    runs.write("run\\n")
labs = sorted(Path(corpus).glob("*/*.lab"))
if any("poison" in lab.read_text() for lab in labs):
    sys.exit("AlignmentError: there were errors")
for lab in labs:
    if lab.read_text() == "unknown words":
        continue
    end = soundfile.info(lab.with_suffix(".wav")).duration
    entries = [(0, end / 2, "AE1"), (end / 2, end, "S")]
    grid = Path(out, lab.parent.name, lab.stem + ".TextGrid")
    grid.parent.mkdir(parents=True)
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", f"xmin = 0", f"xmax = {end}",
             "tiers? <exists>", "size = 1", "item []:", "    item [1]:", '        class = "IntervalTier"',
             '        name = "phones"', "        xmin = 0", f"        xmax = {end}",
             f"        intervals: size = {len(entries)}"]
    for number, (start, stop, label) in enumerate(entries, 1):
        lines += [f"        intervals [{number}]:", f"            xmin = {start}", f"            xmax = {stop}",
                  f'            text = "{label}"']
    grid.write_text("\\n".join(lines) + "\\n")
"""


@pytest.fixture
def program(tmp_path):
    """A function (name, code) -> path of an executable that runs the code."""

    def write(name: str, code: str) -> Path:
        file = tmp_path / name
        file.write_text(f"#!{sys.executable}\n{code}")
        file.chmod(0o755)
        return file

    return write


def sound(folder: Path, name: str, transcript: str, seconds: float = 1.0) -> Clip:
    file = folder / f"{name}.wav"
    soundfile.write(file, 0.1 * np.random.default_rng(0).standard_normal(round(16000 * seconds)), 16000)
    return Clip(name, "c", "c-anna", str(file), transcript=transcript)


def errors_of(unit) -> dict[str, tuple[str, str]]:
    return {row["clip_id"]: (row["error_class"], row["reason"]) for row in unit.errors.to_pylist()}


def mfa_settings(file: Path, **other) -> ExtractSettings:
    names = {"mfa_program": str(file), "mfa_dictionary": "words", "mfa_acoustic_model": "phones"}
    return ExtractSettings(phones={"source": "mfa", **names}, **other)


def test_mfa_aligns_the_clips_of_a_unit_together(program, tmp_path):
    file = program("mfa", MFA)
    clips = [sound(tmp_path, "a", "ash", 1.0), sound(tmp_path, "b", "ash", 0.5), sound(tmp_path, "c", "unknown words")]
    clips.append(Clip("d", "c", "c-anna", clips[0].audio_uri))
    unit = ClipExtractor(mfa_settings(file)).extract(clips)
    assert unit.clips["alignment_source"].to_pylist() == ["mfa", "mfa"]
    segments = unit.segments.to_pandas()
    assert segments["phone"].tolist() == ["AE", "S"] * 2
    assert segments["end"].tolist() == pytest.approx([0.5, 1.0, 0.25, 0.5])
    found = errors_of(unit)
    assert found["c"] == ("alignment", "mfa gave no alignment of this clip") and found["d"][0] == "transcript"
    assert file.with_suffix(".runs").read_text() == "run\n"


def test_a_clip_on_which_mfa_fails_costs_no_other(program, tmp_path):
    clips = [sound(tmp_path, "a", "ash"), sound(tmp_path, "b", "poison"), sound(tmp_path, "c", "ash")]
    unit = ClipExtractor(mfa_settings(program("mfa", MFA))).extract(clips)
    assert unit.clips["clip_id"].to_pylist() == ["a", "c"]
    error_class, reason = errors_of(unit)["b"]
    assert error_class == "alignment" and "exit code 1; its last words: AlignmentError: there were errors" in reason


def test_openface_runs_on_every_video(program, sample):
    from agser_core import corpora

    clips = corpora.read("sample", str(sample.config.parent / "data" / "alder")).clips[:1]
    mouth = {"source": "openface", "openface_program": str(program("FeatureExtraction", OPENFACE))}
    unit = ClipExtractor(ExtractSettings(mouth=mouth)).extract(clips)
    assert unit.errors.num_rows == 0, unit.errors.to_pylist()
    (row,) = unit.clips.to_pylist()
    assert row["tracked_share"] == 1 and row["video_frames"] > 20 and unit.tracks.num_rows == 1
    assert max(unit.segments["n_frames"].to_pylist()) > 0


@pytest.mark.parametrize(
    "name, error_class, reason", [("broken", "landmarks", "Could not open the video"), ("slow", "timeout", "0.8 s")]
)
def test_an_openface_that_fails_or_hangs_costs_its_clip(program, sample, tmp_path, name, error_class, reason):
    from agser_core import corpora

    (clip, *_) = corpora.read("sample", str(sample.config.parent / "data" / "alder")).clips
    odd = tmp_path / f"{name}.mp4"
    odd.write_bytes(Path(clip.video_uri).read_bytes())
    mouth = {"source": "openface", "openface_program": str(program("FeatureExtraction", OPENFACE))}
    extractor = ClipExtractor(ExtractSettings(mouth=mouth, clip_seconds_limit=1))
    started = time.monotonic()
    unit = extractor.extract([Clip("odd", "c", "c-a", str(odd), transcript=clip.transcript, video_uri=str(odd))])
    found = errors_of(unit)["odd"]
    assert found[0] == error_class and reason in found[1] and time.monotonic() - started < 20


@pytest.mark.parametrize(
    "settings, words",
    [
        ({"mouth": {"source": "openface", "openface_program": "no-such-openface"}}, "OpenFace is not .*github.com"),
        ({"phones": {"source": "mfa", "mfa_program": "no-such-mfa"}}, "Aligner is not installed here.*conda create"),
    ],
)
def test_a_program_that_is_not_there_says_how_to_install_it(settings, words):
    with pytest.raises(AgserError, match=words):
        ClipExtractor(ExtractSettings(**settings))
