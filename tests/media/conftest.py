"""Tiny clips, written on the fly."""

from fractions import Fraction

import av
import numpy as np
import pytest


@pytest.fixture
def write_clip():
    """write_clip(path, frames, waveform, ...): encode a clip; `*_delay` (s) shifts a stream against the other."""

    def write(
        path,
        frames=(),
        waveform=None,
        *,
        fps=25,
        rate=48000,
        video_delay=0.0,
        audio_delay=0.0,
        aspect=None,
        audio="aac",
        options=None,
    ):
        with av.open(str(path), "w", options=options or {}) as container:
            if frames is not None and len(frames):
                video = container.add_stream("libx264", rate=fps, options={"crf": "10"})
                video.height, video.width = frames[0].shape[:2]
                video.pix_fmt = "yuv420p"
                if aspect:
                    video.codec_context.sample_aspect_ratio = aspect
            sound = container.add_stream(audio, rate=rate, layout="mono") if waveform is not None else None
            for index, rgb in enumerate(frames if frames is not None else ()):
                frame = av.VideoFrame.from_ndarray(rgb, format="rgb24")
                frame.time_base = Fraction(1, 1000)
                frame.pts = round(1000 * (index / fps + video_delay))
                container.mux(video.encode(frame))
            if frames is not None and len(frames):
                container.mux(video.encode())
            if sound is not None:
                frame = av.AudioFrame.from_ndarray(np.asarray(waveform, np.float32)[None], format="fltp", layout="mono")
                frame.sample_rate, frame.time_base = rate, Fraction(1, rate)
                frame.pts = round(audio_delay * rate)
                container.mux(sound.encode(frame))
                container.mux(sound.encode())
        return path

    return write


@pytest.fixture
def flash_and_click():
    """1 s of black frames at 25/s with one white from 0.48 s on, and a waveform with a click at 0.48 s."""
    frames = np.zeros((25, 48, 64, 3), np.uint8)
    frames[12] = 255
    waveform = np.zeros(48000, np.float32)
    waveform[round(0.48 * 48000) :][:96] = 0.8
    return frames, waveform
