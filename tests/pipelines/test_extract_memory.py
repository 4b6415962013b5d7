"""A long large clip within the memory that is reserved, thousands of short ones in flat memory, nothing spilled."""

import itertools
import json
import re
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from agser_core import corpora, media
from agser_core.corpora.clip import Clip
from agser_core.experiment import ExtractSettings
from agser_core.isolation import IsolatedExtractor

pytestmark = pytest.mark.slow

RATE, FPS = 16000, 30


@pytest.fixture(scope="module")
def talking(sample) -> Clip:
    return corpora.read("sample", str(sample.config.parent / "data" / "alder")).clips[0]


def write(path: Path, clip: Clip, seconds: float, width: int, height: int) -> int:
    """The clip again and again for so many seconds, at another size; returns how often it begins."""
    frames = [rgb for _, rgb in media.read_frames(clip.video_uri)]
    waveform = media.read_audio(clip.audio_uri)[: round(len(frames) / FPS * RATE)]
    samples = np.resize(waveform, round(seconds * RATE))
    with av.open(str(path), "w") as container:
        video = container.add_stream("libx264", rate=FPS, options={"preset": "ultrafast", "crf": "23"})
        video.width, video.height, video.pix_fmt = width, height, "yuv420p"
        sound = container.add_stream("aac", rate=RATE, layout="mono")
        for number, rgb in enumerate(itertools.islice(itertools.cycle(frames), round(seconds * FPS))):
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24").reformat(width, height, "yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        frame = av.AudioFrame.from_ndarray(samples[None].astype(np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = RATE, Fraction(1, RATE), 0
        container.mux(sound.encode(frame))
        container.mux(sound.encode())
    return int(len(samples) / len(waveform))


def test_a_minute_of_1080p_stays_under_what_is_reserved(talking, ray_cluster, write_experiment, tmp_path):
    (tmp_path / "data").mkdir()
    times = write(tmp_path / "data" / "long.mp4", talking, 60, 1920, 1080)
    words = " ".join([talking.transcript] * times)
    (tmp_path / "data" / "clips.csv").write_text(f"file,speaker,language,transcript\nlong.mp4,anna,en,{words}\n")
    run = write_experiment(tmp_path, {"long": {"adapter": "manifest", "path": str(tmp_path / "data")}})
    printed = run.stage("extract")
    (manifest,) = run.output.glob("extract/long/*/manifest.json")
    report = json.loads(manifest.read_text())["report"]
    peak, reserved = report["peak_memory_bytes"], report["reserved_memory_bytes"]
    print(f"60 s of 1080p: peak {peak / 2**20:.0f} MiB of {reserved / 2**20:.0f}, {report['real_time_factor']} x real")
    assert 200e6 < peak < reserved and "GB reserved, 0 bytes spilled" in printed and report["spilled_bytes"] == 0
    assert report["clips"] == 1 and report["errors"] == [] and report["media_seconds"] == pytest.approx(60, abs=0.2)


def resident(pid: int) -> int:
    """Bytes of memory that a process holds now."""
    return int(re.search(r"VmRSS:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())[1]) * 1024


def test_two_thousand_short_clips_take_no_more_memory_than_two_hundred(talking, tmp_path):
    write(tmp_path / "short.mp4", talking, 0.4, 320, 240)
    grid = ["ooTextFile", "TextGrid"]
    lines = [f'File type = "{grid[0]}"', f'Object class = "{grid[1]}"', "", "0", "0.4", "<exists>", "1"]
    lines += ['"IntervalTier"', '"phones"', "0", "0.4", "2", "0", "0.2", '"AE1"', "0.2", "0.4", '"S"']
    (tmp_path / "short.TextGrid").write_text("\n".join(lines) + "\n")
    place = str(tmp_path / "short.mp4")
    extractor = IsolatedExtractor(ExtractSettings(recycle_after=10**6))
    held, done = {}, 0
    try:
        for unit in range(250):
            names = [f"{unit}-{i}" for i in range(8)]
            clips = [
                Clip(name, "c", "c-a", place, video_uri=place, phones_uri=str(tmp_path / "short.TextGrid"))
                for name in names
            ]
            extracted = extractor.extract(clips)
            assert extracted.errors.num_rows == 0 and extracted.clips.num_rows == 8
            done += 8
            if done in (200, 1000, 2000):
                held[done] = resident(extractor._process.pid)
    finally:
        extractor.close()
    print("MiB held after so many clips:", {count: round(size / 2**20) for count, size in held.items()})
    assert held[2000] - held[200] < 20 * 2**20
