"""Decode audio and video in this process: no external program, no temporary file.

One clock a clip: time 0 is the first sample of the file's audio, or its first video frame where it has no audio. So a
waveform's sample i lies at i / sampling_rate, phone times counted from the audio apply as they are, and a video stream
that begins later (or earlier) than the audio has frame times that say so. Encoder priming that the container declares
is dropped by the decoder before the clock starts.

Faults of a file raise `ClipError`; faults of the storage under it (`OSError` other than "not found" and "not
permitted") pass through, because they say nothing about the clip.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import gcd
from pathlib import Path

import numpy as np

from agser_core.errors import ClipError

SAMPLING_RATE = 16000  # Hz, of every waveform inside agser: what the wav2vec 2.0 family and the aligner expect
_SNDFILE_SUFFIXES = {".wav", ".flac", ".aif", ".aiff"}
_REENCODE = "export or download the clip again; it must open in an ordinary player"
_GAP = 0.04  # s; a longer hole between two audio frames is filled with silence, as players do
_LOUDEST = 4.0  # full scale is 1; decoders overshoot a little, samples far beyond are unscaled integers


@dataclass(frozen=True)
class MediaInfo:
    """What a file declares, without decoding it. Times in seconds; None where the file has no such stream.

    video_start: time of the first video frame on the clip's clock. frame_rate: average frames a second.
    width, height: pixels as stored.
    """

    duration: float
    sampling_rate: int | None
    frame_rate: float | None
    width: int | None
    height: int | None
    video_start: float | None


def probe(path: str | Path) -> MediaInfo:
    """Read a file's declarations. Raises `ClipError` where it is no media file or holds neither audio nor video."""
    with _opened(path) as container:
        audio, video = _stream(container, "audio"), _stream(container, "video")
        if audio is None and video is None:
            raise ClipError(f"{_name(path)} holds neither audio nor video", remedy=_REENCODE)
        starts = [_seconds(s, s.start_time) or 0.0 if s else None for s in (audio, video)]
        lengths = [_seconds(s, s.duration) for s in (audio, video) if s]
        declared = [container.duration / 1e6] if container.duration else [length for length in lengths if length]
        return MediaInfo(
            duration=max(declared, default=0.0),
            sampling_rate=audio.codec_context.sample_rate if audio else None,
            frame_rate=float(video.average_rate) if video and video.average_rate else None,
            width=video.codec_context.width if video else None,
            height=video.codec_context.height if video else None,
            video_start=(starts[1] - starts[0] if audio else 0.0) if video else None,
        )


def read_audio(path: str | Path, sampling_rate: int = SAMPLING_RATE) -> np.ndarray:
    """Decode a file's audio to mono: float32 [n] in [-1, 1] at `sampling_rate` Hz.

    wav, flac and aiff are read by libsndfile, everything else by FFmpeg's libraries. Channels are averaged; resampling
    is polyphase with a linear-phase filter, so it shifts nothing in time. Raises `ClipError` where the file is missing,
    damaged, cut off, without audio, empty, or holds values that are not finite or not scaled.
    """
    if Path(path).suffix.lower() in _SNDFILE_SUFFIXES:
        channels, rate = _read_sound_file(path)
    else:
        channels, rate = _read_container_audio(path)
    waveform = channels.mean(axis=0, dtype=np.float32)
    if waveform.size == 0:
        raise ClipError(f"{_name(path)} holds no audio sample", remedy=_REENCODE)
    if not np.isfinite(waveform).all():
        share = 1 - np.isfinite(waveform).mean()
        raise ClipError(f"{share:.1%} of the audio samples of {_name(path)} are not numbers", remedy=_REENCODE)
    if np.abs(waveform).max() > _LOUDEST:
        raise ClipError(
            f"the audio samples of {_name(path)} reach {np.abs(waveform).max():.0f}, full scale is 1",
            remedy="floating-point files must be scaled to [-1, 1]: divide by 32768 what was 16-bit",
        )
    if rate != sampling_rate:
        from scipy.signal import resample_poly

        divisor = gcd(rate, sampling_rate)
        waveform = resample_poly(waveform, sampling_rate // divisor, rate // divisor)
    return np.clip(waveform, -1, 1).astype(np.float32, copy=False)


def read_frames(path: str | Path, max_side: int | None = None) -> Iterator[tuple[float, np.ndarray]]:
    """Decode a file's video, frame by frame: (time in s on the clip's clock, RGB uint8 [height, width, 3]).

    max_side: frames whose longer side is longer than this many pixels are scaled down while they are converted.
    Frames are turned upright (phones store the rotation beside the picture) and have square pixels. One decoding
    thread: the pipeline's parallelism is over clips. Raises `ClipError`, if only at the end, where the file is missing,
    damaged, cut off, without video, or without a single frame.
    """
    with _opened(path) as container:
        stream = _stream(container, "video")
        if stream is None:
            raise ClipError(f"{_name(path)} has no video stream", remedy="give the clip's video, or no video_uri")
        stream.codec_context.thread_count = 1
        zero = _audio_start(path)
        count, end = 0, 0.0
        for frame in container.decode(stream):
            time = frame.time if frame.time is not None else count / float(stream.average_rate)
            if zero is None:
                zero = time
            yield time - zero, _upright_rgb(frame, stream, max_side)
            count, end = count + 1, time
        if count == 0:
            raise ClipError(f"{_name(path)} has a video stream without a single frame", remedy=_REENCODE)
        _check_complete(path, "video", end, stream)


def _upright_rgb(frame, stream, max_side: int | None) -> np.ndarray:
    aspect = float(stream.sample_aspect_ratio or 1)
    width, height = frame.width * aspect, float(frame.height)
    scale = min(1.0, max_side / max(width, height)) if max_side else 1.0
    rgb = frame.reformat(width=round(width * scale), height=round(height * scale), format="rgb24").to_ndarray()
    return np.ascontiguousarray(np.rot90(rgb, round(frame.rotation / 90))) if frame.rotation else rgb


def _read_sound_file(path) -> tuple[np.ndarray, int]:
    import soundfile

    _check_readable(path)
    try:
        with soundfile.SoundFile(path) as file:
            samples = file.read(dtype="float32", always_2d=True)
            declared, rate = file.frames, file.samplerate
    except soundfile.LibsndfileError as error:
        raise ClipError(f"{_name(path)} is no readable audio file: {error.error_string}", remedy=_REENCODE) from error
    if len(samples) < declared:
        raise ClipError(f"{_name(path)} ends after {len(samples)} of {declared} samples", remedy=_REENCODE)
    return samples.T, rate


def _read_container_audio(path) -> tuple[np.ndarray, int]:
    import av

    with _opened(path) as container:
        stream = _stream(container, "audio")
        if stream is None:
            raise ClipError(f"{_name(path)} has no audio stream", remedy="give the clip's audio in audio_uri")
        rate = stream.codec_context.sample_rate
        to_float = av.AudioResampler(format="fltp")  # changes the sample format only
        pieces, length, start, end = [], 0, None, 0.0
        for frame in container.decode(stream):
            if frame.time is not None:
                start = frame.time if start is None else start
                hole = frame.time - start - length / rate
                if hole > _GAP:
                    pieces.append(np.zeros((len(pieces[0]), round(hole * rate)), np.float32))
                    length += pieces[-1].shape[1]
                end = frame.time + frame.samples / rate
            for converted in to_float.resample(frame):
                pieces.append(converted.to_ndarray())
                length += converted.samples
        if length == 0:
            raise ClipError(f"{_name(path)} has an audio stream without a single sample", remedy=_REENCODE)
        _check_complete(path, "audio", end, stream)
    return np.concatenate(pieces, axis=1), rate


def _audio_start(path) -> float | None:
    """Container time of the first audio sample that the decoder puts out; None without audio."""
    with _opened(path) as container:
        stream = _stream(container, "audio")
        first = next(container.decode(stream), None) if stream else None
        return first.time if first is not None else None


def _check_complete(path, kind: str, end: float, stream) -> None:
    declared = _seconds(stream, stream.duration)
    if declared is None:
        return
    declared += _seconds(stream, stream.start_time) or 0.0
    if end < declared - max(0.25, 0.1 * declared):
        raise ClipError(f"the {kind} of {_name(path)} ends after {end:.2f} s of {declared:.2f} s", remedy=_REENCODE)


@contextmanager
def _opened(path):
    """An open container; whatever FFmpeg finds wrong with the file, now or while decoding, becomes a `ClipError`."""
    import av

    _check_readable(path)
    try:
        with av.open(str(path), metadata_errors="replace") as container:
            yield container
    except av.FFmpegError as error:
        if isinstance(error, OSError):
            raise
        reason = "it is cut off or damaged" if isinstance(error, (ValueError, EOFError)) else str(error)
        raise ClipError(f"{_name(path)} can't be decoded: {reason} ({error.strerror})", remedy=_REENCODE) from error


def _check_readable(path) -> None:
    try:
        size = os.stat(path).st_size
    except FileNotFoundError as error:
        raise ClipError(f"there is no file {path}", remedy="correct the manifest's path, or fetch the clip") from error
    if not os.path.isfile(path):
        raise ClipError(f"{path} is not a file", remedy="correct the manifest's path")
    if not os.access(path, os.R_OK):
        raise ClipError(f"{path} may not be read by this user", remedy="change the file's permissions")
    if size == 0:
        raise ClipError(f"{_name(path)} is empty (0 bytes)", remedy=_REENCODE)


def _stream(container, kind: str):
    """The first stream of its kind, cover pictures aside; None where there is none or no decoder for it."""
    from av.stream import Disposition

    for stream in getattr(container.streams, kind):
        if stream.codec_context is not None and not stream.disposition & Disposition.attached_pic:
            return stream
    return None


def _seconds(stream, ticks: int | None) -> float | None:
    return None if ticks is None else float(ticks * stream.time_base)


def _name(path) -> str:
    return Path(path).name
