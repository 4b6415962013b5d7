"""Writes the sample corpora: clips as mp4, the table of clips, the data card, and the truth beside them.

    specs = plan("alder")
    for spec in specs:
        render(spec, "data/sample")
    write_manifest(specs, "data/sample")

gives data/sample/alder/clips.csv, CARD.md, video/CLIP_ID.mp4, truth/phones.parquet and truth/lips.parquet. `render` of
one clip depends on no other, so that any number of processes can share the work.
"""

import csv
import io
from collections import Counter
from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from agser_core.corpora.sample.gestures import GESTURES
from agser_core.corpora.sample.performance import Performance, perform
from agser_core.corpora.sample.plan import STYLES, ClipSpec
from agser_core.corpora.sample.truth import LIPS_SCHEMA, PHONES_SCHEMA, lips_file, phones_file
from agser_core.storage import Location

if TYPE_CHECKING:
    from agser_core.corpora.sample.face import Face

COLUMNS = ("clip_id", "file", "speaker", "gender", "language", "emotion", "transcript", "fold")
_AUDIO_BITS, _VIDEO_QUALITY = 96_000, "23"  # bits a second; x264's constant rate factor


def video_file(spec: ClipSpec) -> str:
    """Path of a clip's video below its corpus' folder."""
    return f"video/{spec.clip_id}.mp4"


def render(spec: ClipSpec, folder: str) -> None:
    """Write one clip as h264 and aac in mp4 to `folder`/corpus/video; the file is there whole or not at all.

    folder: local or s3://. The encoder's priming samples are declared in the file, as players and `agser_core.media`
    expect, so sound and lips agree after decoding.
    """
    performance = perform(spec)
    style = STYLES[spec.corpus]
    face = _face(spec.person.face_seed, spec.person.gender, style.picture)
    data = _encode(performance, face, style.frame_rate)
    Location.parse(folder).join(spec.corpus, *video_file(spec).split("/")).write_bytes(data)


def write_manifest(specs: Sequence[ClipSpec], folder: str) -> None:
    """Write, for each corpus among the specs, its table of clips, its data card, and the truth."""
    import pyarrow as pa
    import pyarrow.parquet

    for corpus in sorted({spec.corpus for spec in specs}):
        chosen = [spec for spec in specs if spec.corpus == corpus]
        root = Location.parse(folder).join(corpus)
        phones, lips = {name: [] for name in PHONES_SCHEMA.names}, {name: [] for name in LIPS_SCHEMA.names}
        seconds = 0.0
        for spec in chosen:
            performance = perform(spec)
            seconds += len(performance.waveform) / performance.sampling_rate
            _add_phones(phones, spec, performance)
            _add_lips(lips, spec, performance)
        for rows, schema, file in ((phones, PHONES_SCHEMA, phones_file), (lips, LIPS_SCHEMA, lips_file)):
            buffer = pa.BufferOutputStream()
            pa.parquet.write_table(pa.table(rows, schema=schema), buffer)
            file(root).write_bytes(buffer.getvalue().to_pybytes())
        root.join("CARD.md").write_text(_card(chosen, seconds, phones["gesture"]))
        root.join("clips.csv").write_text(_table(chosen))  # last: who finds it finds the rest


@lru_cache(maxsize=2)  # clips come speaker by speaker; inventing a face takes as long as 40 pictures
def _face(seed: int, gender: str, size: tuple[int, int]) -> "Face":
    from agser_core.corpora.sample.face import Face  # OpenCV and numba, which the driver of a job can do without

    return Face(seed, gender, size)


def _encode(performance: Performance, face: "Face", frame_rate: int) -> bytes:
    import av

    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as container:
        video = container.add_stream("libx264", rate=frame_rate)
        video.width, video.height = face.size
        video.pix_fmt = "yuv420p"
        video.options = {"preset": "ultrafast", "crf": _VIDEO_QUALITY, "threads": "1"}  # one thread: same bytes
        audio = container.add_stream("aac", rate=performance.sampling_rate, layout="mono")
        audio.bit_rate = _AUDIO_BITS
        for number in range(len(performance.times)):
            rgb = face.picture(
                performance.lips[number],
                performance.poses[number],
                float(performance.lamp[number]),
                float(performance.gain[number]),
                number,
            )
            frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
            frame.pts, frame.time_base = number, Fraction(1, frame_rate)
            container.mux(video.encode(frame))
        container.mux(video.encode(None))
        size = audio.codec_context.frame_size
        for start in range(0, len(performance.waveform), size):
            samples = performance.waveform[None, start : start + size]
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout="mono")
            frame.sample_rate, frame.pts = performance.sampling_rate, start
            frame.time_base = Fraction(1, performance.sampling_rate)
            container.mux(audio.encode(frame))
        container.mux(audio.encode(None))
    return buffer.getvalue()


def _table(specs: Sequence[ClipSpec]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for spec in specs:
        writer.writerow(
            (
                spec.clip_id,
                video_file(spec),
                spec.person.speaker,
                spec.person.gender,
                "en",
                spec.emotion,
                spec.transcript,
                spec.fold,
            )
        )
    return text.getvalue()


def _add_phones(rows: dict[str, list], spec: ClipSpec, performance: Performance) -> None:
    for position, (phone, gesture) in enumerate(zip(performance.phones, performance.gestures)):
        values = (
            spec.clip_id,
            position,
            phone.label,
            phone.stress,
            phone.start,
            phone.end,
            gesture,
            spec.emotion,
            spec.person.speaker,
        )
        for name, value in zip(rows, values, strict=True):
            rows[name].append(value)


def _add_lips(rows: dict[str, list], spec: ClipSpec, performance: Performance) -> None:
    columns = ([spec.clip_id] * len(performance.times), performance.times, *performance.lips.T)
    for name, values in zip(rows, columns, strict=True):
        rows[name].extend(values)


def _card(specs: Sequence[ClipSpec], seconds: float, gestures: list[int]) -> str:
    corpus = specs[0].corpus
    style = STYLES[corpus]
    people = {spec.person.speaker: spec.person for spec in specs}
    rows = "\n".join(f"| {p.speaker} | {p.gender} | {p.voice} |" for p in people.values())
    counts = Counter(gestures)
    shares = "\n".join(f"| {number} {gesture.name} | {counts[number]} |" for number, gesture in enumerate(GESTURES))
    (width, height), channel = style.picture, style.channel
    size = f"{len(specs)} clips, {seconds / 60:.1f} minutes, {len(people)} invented speakers"
    return f"""# {corpus}: a generated audiovisual emotion corpus

{size}, English. Made by agser to test itself: the phones, their times, the lips and
the mouth gestures are known, because a program set them.

- **Nobody is shown.** The face is a face of nobody: a software-rendered head whose shape and colours are drawn at
  random for each speaker. The shapes vary one neutral mesh of 468 points, derived from what a face tracker saw in one
  public-domain picture, made symmetric and without its expression. The voice is the synthesiser eSpeak NG.
- Video: h264, {width} x {height}, {style.frame_rate} frames/s. Audio: aac, {channel.sampling_rate} Hz, mono.
- Channel: {channel.low_cut:.0f}-{channel.high_cut:.0f} Hz, reverberation {channel.reverberation} s, speech at
  {channel.level:.0f} dB, noise at {channel.noise:.0f} dB.
- Emotions: neutral, anger, happiness, sadness, each set, not judged. They show in pitch, pitch range, rate, level,
  spectral tilt, roughness and breath, and in which gesture a vowel gets. Nobody should take them for human emotion.
- Use: tests, demonstrations, benchmarks of software. Not for claims about people.
- Licence: the clips are output of this program and are free for any use (CC0). Synthesiser, mesh and renderer have
  their own licences.
- `truth/phones.parquet`: phone times and gestures. `truth/lips.parquet`: lips of every video frame: opening in
  inter-ocular distances, width as relative change, rounding 0 to 1. Meant for tests and for the report's truth section.

| speaker | gender | voice |
|---|---|---|
{rows}

| gesture | segments |
|---|---|
{shares}
"""
