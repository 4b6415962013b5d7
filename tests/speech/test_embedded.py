"""The embedded encoder: what its descriptors measure on signals with a known answer, and that clips don't meet."""

import numpy as np
import pytest

from agser_core.errors import ClipError, ConfigError
from agser_core.speech import load_encoder
from agser_core.speech.descriptors import NAMES, describe
from agser_core.speech.functionals import CLIP_NAMES, describe_clip
from agser_core.speech.pitch import track_pitch


def column(values: np.ndarray, name: str) -> np.ndarray:
    return values[:, NAMES.index(name)]


def test_pitch_of_a_glide_is_within_two_percent(glide):
    found = describe(glide(2.0, 110, 330))
    times = (np.arange(200) + 0.5) / 100
    true = np.log2(110 * 3 ** (times / 2) / 100)
    inside = slice(5, 195)
    assert np.abs(column(found, "pitch") - true)[inside].max() < np.log2(1.02)
    assert column(found, "voiced")[inside].all() and column(found, "periodicity")[inside].min() > 0.95


def test_harmonics_to_noise_ratio_is_the_one_that_was_set():
    """A tone and white noise of a tenth of its power: 10 dB (the noise that falls on the tone's period is chance)."""
    generator = np.random.default_rng(1)
    time = np.arange(16000) / 16000
    tone = np.sin(2 * np.pi * 150 * time)
    noisy = tone + generator.standard_normal(16000) * np.sqrt(0.5 / 10)
    ratios = [np.median(column(describe(s), "harmonics to noise")[5:-5]) * 10 for s in (noisy, tone)]
    assert abs(ratios[0] - 10) < 1.0 and ratios[1] > 25


def test_noise_is_not_voiced_and_silence_is_finite():
    noise = np.random.default_rng(0).standard_normal(16000).astype(np.float32) * 0.1
    assert column(describe(noise), "voiced").mean() < 0.05
    silent = describe(np.zeros(16000, dtype=np.float32))
    assert np.isfinite(silent).all() and not column(silent, "voiced").any()


def test_pitch_does_not_jump_octaves_when_the_second_harmonic_is_strong():
    time = np.arange(8000) / 16000
    windows = np.lib.stride_tricks.sliding_window_view(
        0.3 * np.sin(2 * np.pi * 120 * time) + np.sin(2 * np.pi * 240 * time + 0.4), 800
    )[::160]
    f0, periodicity = track_pitch(windows, 16000)
    assert np.abs(f0 - 120).max() < 2 and periodicity.min() > 0.95


def test_steeper_spectra_have_steeper_slopes(glide):
    time = np.arange(16000) / 16000
    soft, hard = (
        sum(np.sin(2 * np.pi * 150 * k * time) * k**-power for k in range(1, 40)).astype(np.float32)
        for power in (2, 0.5)
    )
    soft, hard = describe(soft), describe(hard)
    assert (column(soft, "alpha ratio") > column(hard, "alpha ratio") + 1).all()
    assert (column(soft, "spectral centroid") < column(hard, "spectral centroid")).all()
    assert np.median(column(soft, "H1-H2")) == pytest.approx(np.log10(2) * 4, abs=0.1), "20 lg 2^2 dB over 10"


def test_gain_moves_only_the_level(glide):
    """Of a clip whose bands all lie well above the floor; a whisper of a clip flattens into the floor."""
    noisy = glide(1.0) + 0.05 * np.random.default_rng(2).standard_normal(16000).astype(np.float32)
    loud, softer = describe(noisy), describe(noisy * 0.5)
    level = NAMES.index("cepstrum 0")
    unmoved = [i for i in range(len(NAMES)) if i != level]
    np.testing.assert_allclose(loud[5:-5, unmoved], softer[5:-5, unmoved], atol=0.02)
    six_decibel = np.log(4) * np.sqrt(40) / 4
    np.testing.assert_allclose(loud[5:-5, level] - softer[5:-5, level], six_decibel, atol=0.02)
    assert np.abs(describe(noisy * 1e-4)[:, 1:20]).mean() < 0.1 * np.abs(loud[:, 1:20]).mean()


def test_shapes_and_promises(glide):
    encoder = load_encoder()
    assert (encoder.name, encoder.n_layers, encoder.frame_rate, encoder.pretrained) == ("embedded", 1, 100.0, False)
    assert encoder.dimension == 3 * len(NAMES) + len(CLIP_NAMES)
    frames = encoder.encode([glide(1.234), glide(0.5)])
    assert [clip.shape for clip in frames] == [(123, 1, encoder.dimension), (50, 1, encoder.dimension)]
    assert all(clip.dtype == np.float32 and np.abs(clip).max() < 100 for clip in frames), "float16 holds them"


def test_a_clip_does_not_depend_on_its_batch_and_is_the_same_twice(glide):
    encoder = load_encoder()
    clips = [glide(0.7), glide(1.9, seed=1), glide(0.7, 200, 90, seed=2)]
    together = encoder.encode(clips)
    for clip, frames in zip(clips, together, strict=True):
        np.testing.assert_array_equal(encoder.encode([clip])[0], frames)
    np.testing.assert_array_equal(load_encoder().encode(clips[:1])[0], together[0])


def test_slopes_and_deviations_are_those_of_the_descriptors(glide):
    clip = glide(2.0)
    descriptors, frames = describe(clip), load_encoder().encode([clip])[0][:, 0]
    width = len(NAMES)
    np.testing.assert_array_equal(frames[:, :width], descriptors)
    pitch = NAMES.index("pitch")
    assert frames[50:150, 2 * width + pitch] == pytest.approx(1 / 200, abs=1e-4), "one octave in 200 frames"
    window = descriptors[75:125, pitch]
    assert frames[100, width + pitch] == pytest.approx(window.std(), rel=1e-3)


def of_clip(waveform: np.ndarray) -> dict[str, float]:
    return dict(zip(CLIP_NAMES, describe_clip(describe(waveform)).tolist(), strict=True))


def test_functionals_of_a_clip_are_those_that_were_set(glide):
    """Three glides of half a second, pauses of 0.3 s between them, silence around."""
    pause, half = np.zeros(4800, np.float32), glide(0.5, 100, 200)
    found = of_clip(np.concatenate([np.zeros(16000, np.float32), half, pause, half, pause, half, np.zeros(8000)]))
    assert found["mean length of voiced stretches"] == pytest.approx(0.5, abs=0.05)
    assert found["mean length of unvoiced stretches"] == pytest.approx(0.3, abs=0.05)
    assert found["voiced stretches a second"] == pytest.approx(3 / 2.1, rel=0.05)
    assert found["share of loud frames"] == pytest.approx(1.5 / 2.1, abs=0.05)
    ranked = [found[f"pitch, {share} % of loud frames below"] for share in (20, 50, 80)]
    assert ranked == pytest.approx([0.2, 0.5, 0.8], abs=0.05), "octaves above 100 Hz"
    assert found["mean rise of pitch"] == pytest.approx(0.2, rel=0.2), "an octave in half a second"


def test_the_trend_of_pitch_is_the_glides(glide):
    assert of_clip(glide(2.0, 110, 220))["trend of pitch"] == pytest.approx(0.5, abs=0.03)
    assert of_clip(glide(2.0, 220, 110))["trend of pitch"] == pytest.approx(-0.5, abs=0.03)


def test_all_frames_of_a_clip_carry_its_functionals_and_silence_has_some(glide):
    frames = load_encoder().encode([glide(0.7)])[0][:, 0]
    np.testing.assert_array_equal(frames[:, -len(CLIP_NAMES) :], np.tile(describe_clip(describe(glide(0.7))), (70, 1)))
    for waveform in (np.zeros(16000, np.float32), np.full(400, 0.1, np.float32)):
        assert np.isfinite(describe_clip(describe(waveform))).all()


def test_the_shortest_clip():
    encoder = load_encoder()
    assert encoder.encode([np.full(400, 0.1, dtype=np.float32)])[0].shape[0] == 2
    with pytest.raises(ClipError) as fault:
        encoder.encode([np.zeros(399, dtype=np.float32)])
    assert fault.value.error_class == "encoder" and fault.value.remedy


def test_it_has_one_layer():
    assert load_encoder("embedded", layers=[0]).n_layers == 1
    with pytest.raises(ConfigError, match="one layer"):
        load_encoder("embedded", layers=[3])
