from fractions import Fraction

import numpy as np
import pytest
import soundfile

from agser_core.errors import ClipError
from agser_core.media import probe, read_audio, read_frames


def tone(rate, seconds=1.0, frequency=440.0):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(round(rate * seconds)) / rate)


def white_time(path):
    return max(read_frames(path), key=lambda frame: frame[1].mean())[0]


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_sound_files_become_mono_at_16_khz(tmp_path, rate, suffix):
    path = tmp_path / f"tone.{suffix}"
    soundfile.write(path, np.stack([tone(rate), np.zeros(rate)], 1), rate)
    waveform = read_audio(path)
    assert waveform.dtype == np.float32 and abs(len(waveform) - 16000) <= 1
    inner = slice(1000, 15000)  # the resampling filter rings at the edges
    assert np.abs(waveform[inner] - tone(16000)[inner] / 2).max() < 0.005


def test_resampling_removes_what_would_alias(tmp_path):
    soundfile.write(tmp_path / "high.wav", tone(48000, frequency=11000.0), 48000)
    assert np.abs(read_audio(tmp_path / "high.wav")[1000:-1000]).max() < 0.005


@pytest.mark.parametrize("name, audio", [("clip.mp4", "aac"), ("clip.mkv", "libmp3lame"), ("clip.mkv", "aac")])
def test_audio_and_video_share_one_clock(tmp_path, write_clip, flash_and_click, name, audio):
    path = write_clip(tmp_path / name, *flash_and_click, audio=audio)
    waveform = read_audio(path)
    click = np.argmax(np.abs(waveform) > 0.3) / 16000
    assert click == pytest.approx(white_time(path), abs=0.005)


@pytest.mark.parametrize("delays, first", [({"video_delay": 0.2}, 0.2), ({"audio_delay": 0.2}, -0.2)])
def test_streams_that_begin_apart_keep_their_distance(tmp_path, write_clip, flash_and_click, delays, first):
    path = write_clip(tmp_path / "clip.mkv", *flash_and_click, **delays)
    click = np.argmax(np.abs(read_audio(path)) > 0.3) / 16000
    assert click == pytest.approx(0.48, abs=0.005)  # the waveform begins at time 0 whatever the video does
    assert next(read_frames(path))[0] == pytest.approx(first, abs=0.012)
    assert probe(path).video_start == pytest.approx(first, abs=0.012)


def test_frames_are_rgb_in_order_and_scaled_down_only(tmp_path, write_clip):
    frames = np.zeros((5, 60, 120, 3), np.uint8)
    frames[..., 0] = 200
    path = write_clip(tmp_path / "red.mp4", frames)
    small = list(read_frames(path, max_side=40))
    assert [frame.shape for _, frame in small] == [(20, 40, 3)] * 5
    np.testing.assert_allclose([time for time, _ in small], np.arange(5) / 25, atol=1e-3)
    red, green, blue = small[2][1].reshape(-1, 3).mean(axis=0)
    assert red > 180 and green < 20 and blue < 20
    assert next(read_frames(path, max_side=500))[1].shape == (60, 120, 3)


def test_pixels_that_are_not_square_are_made_so(tmp_path, write_clip):
    path = write_clip(tmp_path / "wide.mp4", np.zeros((3, 60, 120, 3), np.uint8), aspect=Fraction(4, 3))
    assert next(read_frames(path))[1].shape == (60, 160, 3)


def test_pictures_stored_lying_are_turned_upright(tmp_path, write_clip):
    frames = np.zeros((3, 64, 128, 3), np.uint8)
    frames[:, :, :64] = 255  # white on the left of the stored picture
    path = write_clip(tmp_path / "turned.mp4", frames)
    one, minus_one = b"\0\1\0\0", b"\xff\xff\0\0"
    plain = one + bytes(12) + one + bytes(12) + b"\x40\0\0\0"
    quarter_turn = bytes(4) + one + bytes(4) + minus_one + bytes(16) + b"\x40\0\0\0"
    data = path.read_bytes()
    header = data.index(b"tkhd")
    at = data.index(plain, header)
    assert len(plain) == len(quarter_turn) == 36
    path.write_bytes(data[:at] + quarter_turn + data[at + 36 :])
    picture = next(read_frames(path))[1]
    assert picture.shape == (128, 64, 3)
    assert picture[:50].mean() > 200 and picture[-50:].mean() < 50  # turned clockwise: the left side is on top


def test_holes_in_the_audio_are_filled_with_silence(tmp_path):
    import av

    path = tmp_path / "hole.mkv"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=16000, layout="mono")
        for start in (0, 8000):  # the second half second begins where it should, 0.25 s are missing
            samples = np.full((1, 4000), 8000, np.int16)
            frame = av.AudioFrame.from_ndarray(samples, format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    waveform = read_audio(path)
    assert len(waveform) == 12000
    assert (waveform[4100:7900] == 0).all() and waveform[8100] == pytest.approx(8000 / 32768)


def test_probe(tmp_path, write_clip, flash_and_click):
    info = probe(write_clip(tmp_path / "clip.mp4", *flash_and_click))
    assert (info.sampling_rate, info.frame_rate, info.width, info.height) == (48000, 25.0, 64, 48)
    assert info.duration == pytest.approx(1.0, abs=0.05) and info.video_start == pytest.approx(0, abs=0.005)
    soundfile.write(tmp_path / "tone.wav", tone(8000), 8000)
    info = probe(tmp_path / "tone.wav")
    assert (info.sampling_rate, info.frame_rate, info.video_start) == (8000, None, None)
    assert info.duration == pytest.approx(1.0)


def drain(path):
    return list(read_frames(path))


def refuses(read, path, *words):
    with pytest.raises(ClipError) as caught:
        read(path)
    assert caught.value.error_class == "media" and caught.value.remedy
    assert path.name in caught.value.reason
    for word in words:
        assert word in caught.value.reason
    return caught.value


@pytest.mark.parametrize("read", [read_audio, drain, probe])
def test_files_that_are_no_media(tmp_path, read):
    refuses(read, tmp_path / "absent.mp4", "no file")
    (tmp_path / "folder.mp4").mkdir()
    refuses(read, tmp_path / "folder.mp4", "not a file")
    (tmp_path / "nothing.mp4").touch()
    refuses(read, tmp_path / "nothing.mp4", "0 bytes")
    (tmp_path / "text.mp4").write_text("this is no film\n" * 50)
    refuses(read, tmp_path / "text.mp4", "decoded")


def test_sound_files_that_hold_no_speech(tmp_path):
    (tmp_path / "text.wav").write_text("this is no sound\n" * 50)
    refuses(read_audio, tmp_path / "text.wav", "no readable audio")
    soundfile.write(tmp_path / "empty.wav", np.zeros(0), 16000)
    refuses(read_audio, tmp_path / "empty.wav", "no audio sample")
    samples = tone(16000)
    samples[:8000] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 16000, subtype="FLOAT")
    refuses(read_audio, tmp_path / "nan.wav", "50.0%", "not numbers")
    soundfile.write(tmp_path / "loud.wav", tone(16000) * 32768, 16000, subtype="FLOAT")
    refuses(read_audio, tmp_path / "loud.wav", "full scale")


def test_a_flac_that_is_cut_off(tmp_path):
    rng = np.random.default_rng(0)
    soundfile.write(tmp_path / "cut.flac", rng.uniform(-0.5, 0.5, 48000), 16000)
    data = (tmp_path / "cut.flac").read_bytes()
    (tmp_path / "cut.flac").write_bytes(data[: len(data) // 2])
    refuses(read_audio, tmp_path / "cut.flac")


def test_a_film_that_is_cut_off(tmp_path, write_clip):
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 255, (50, 48, 64, 3), np.uint8)
    waveform = rng.uniform(-0.5, 0.5, 96000)
    without_index = write_clip(tmp_path / "without-index.mp4", frames, waveform)
    with_index = write_clip(tmp_path / "with-index.mp4", frames, waveform, options={"movflags": "faststart"})
    for path in (without_index, with_index):
        data = path.read_bytes()
        path.write_bytes(data[: len(data) * 6 // 10])
    refuses(read_audio, without_index, "cut off or damaged")
    refuses(drain, without_index, "cut off or damaged")
    refuses(read_audio, with_index)
    refuses(drain, with_index)


def test_streams_that_are_missing_or_empty(tmp_path, write_clip, flash_and_click):
    frames, waveform = flash_and_click
    refuses(read_audio, write_clip(tmp_path / "mute.mp4", frames), "no audio stream")
    refuses(drain, write_clip(tmp_path / "blind.mp4", None, waveform), "no video stream")


def test_a_video_stream_without_a_frame(tmp_path):
    import av

    path = tmp_path / "zero.avi"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=25)
        stream.width, stream.height = 64, 48
        stream.codec_context.open()
        container.start_encoding()
    refuses(drain, path, "without a single frame")


def test_storage_faults_are_not_the_clips(tmp_path, monkeypatch):
    import av

    soundfile.write(tmp_path / "tone.mp4", tone(8000), 8000, format="WAV")

    def broken(*_, **__):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(av, "open", broken)
    with pytest.raises(OSError, match="Input/output"):
        read_audio(tmp_path / "tone.mp4")
