"""Clips of a unit are encoded together; that changes no vector, and one that can't be encoded costs no other."""

import numpy as np
import pytest
import soundfile

from agser_core.corpora.clip import Clip
from agser_core.experiment import ExtractSettings
from agser_core.extraction import ClipExtractor
from agser_core.speech import load_encoder

GRID = """File type = "ooTextFile"
Object class = "TextGrid"

0
{end}
<exists>
1
"IntervalTier"
"phones"
0
{end}
2
0
{middle}
"AE1"
{middle}
{end}
"S"
"""


@pytest.fixture(scope="module")
def extractor(tmp_path_factory) -> ClipExtractor:
    """With a tiny wav2vec 2.0 of random weights as the encoder."""
    import torch
    import transformers

    torch.manual_seed(0)
    config = transformers.Wav2Vec2Config(
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=48,
        conv_dim=(16,) * 7,
        num_conv_pos_embeddings=16,
        num_conv_pos_embedding_groups=4,
        feat_extract_norm="layer",
    )
    folder = str(tmp_path_factory.mktemp("encoder"))
    transformers.Wav2Vec2Model(config).save_pretrained(folder)
    transformers.Wav2Vec2FeatureExtractor(return_attention_mask=True).save_pretrained(folder)
    return ClipExtractor(ExtractSettings(speech={"encoder": folder}))


@pytest.fixture(scope="module")
def clips(tmp_path_factory) -> list[Clip]:
    """Noise of several lengths with two phones each; the third is too short for the encoder."""
    folder, rng, made = tmp_path_factory.mktemp("clips"), np.random.default_rng(0), []
    for i, seconds in enumerate((1.3, 0.7, 0.02, 1.1, 0.9)):
        sound, grid = folder / f"clip-{i}.wav", folder / f"clip-{i}.TextGrid"
        soundfile.write(sound, 0.1 * rng.standard_normal(round(seconds * 16000)), 16000)
        grid.write_text(GRID.format(middle=seconds / 2, end=seconds))
        made.append(Clip(f"clip-{i}", "noise", "noise-anna", str(sound), phones_uri=str(grid)))
    return made


def vectors(unit) -> dict[tuple[str, int], np.ndarray]:
    return {(row["clip_id"], row["position"]): np.array(row["vector"]) for row in unit.phone_vectors.to_pylist()}


def test_together_or_alone_the_vectors_are_the_same(extractor, clips):
    together = vectors(extractor.extract(clips))
    alone = {key: vector for clip in clips for key, vector in vectors(extractor.extract([clip])).items()}
    assert together.keys() == alone.keys() and len(alone) == 8
    for key, vector in alone.items():
        np.testing.assert_allclose(together[key], vector, atol=4e-3)  # a few steps of float16


def test_one_that_cannot_be_encoded_costs_no_other(extractor, clips):
    unit = extractor.extract(clips)
    (row,) = unit.errors.to_pylist()
    assert (row["clip_id"], row["step"], row["error_class"]) == ("clip-2", "encode", "encoder")
    kept = ["clip-0", "clip-1", "clip-3", "clip-4"]
    assert unit.clips["clip_id"].to_pylist() == kept and sorted(set(unit.segments["clip_id"].to_pylist())) == kept


@pytest.mark.parametrize("fault", [7e4, np.nan])
def test_numbers_that_the_tables_cannot_hold_are_the_clips_error(extractor, clips, fault, monkeypatch):
    honest = extractor.encoder.encode

    def loud(waveforms):
        heard = honest(waveforms)
        for frames, waveform in zip(heard, waveforms, strict=True):
            if len(waveform) == 17600:  # clip-3
                frames[:, 1] += fault
        return heard

    monkeypatch.setattr(extractor.encoder, "encode", loud)
    unit = extractor.extract([clips[0], clips[3], clips[4]])
    (row,) = unit.errors.to_pylist()
    assert (row["clip_id"], row["error_class"]) == ("clip-3", "encoder")
    assert "in place 1 of the 3 layers" in row["reason"] and "extract.speech.layers" in row["remedy"]
    assert unit.clips["clip_id"].to_pylist() == ["clip-0", "clip-4"]
    assert all(np.isfinite(vector).all() for vector in vectors(unit).values())


def test_what_is_worked_on_is_told_to_whoever_sets_time_limits(extractor, clips):
    told = []
    extractor.extract([clips[0], clips[1]], working=told.append)
    assert told == [[], ["clip-0"], [], ["clip-1"], ["clip-1", "clip-0"]]


def test_frames_of_a_layer_are_stored_beside_the_vectors(extractor, clips):
    from agser_core.media import read_audio

    encoder = extractor.settings.speech.encoder
    assert extractor.extract(clips).frames.num_rows == 0
    unit = ClipExtractor(ExtractSettings(speech={"encoder": encoder, "layers": [2], "frame_layer": -2})).extract(clips)
    everything = load_encoder(encoder, device="cpu")
    found = unit.frames.to_pylist()
    assert [row["clip_id"] for row in found] == unit.clips["clip_id"].to_pylist() == [f"clip-{i}" for i in (0, 1, 3, 4)]
    for row in found:
        heard = read_audio(next(clip.audio_uri for clip in clips if clip.clip_id == row["clip_id"]))
        (states,) = everything.encode([heard])
        frames = np.array(row["frames"]).reshape(row["n_frames"], 32)
        np.testing.assert_allclose(frames, states[:, 1], atol=4e-3)
        for position, (first, stop) in enumerate(zip(row["first"], row["stop"], strict=True)):
            vector = vectors(unit)[row["clip_id"], position]
            np.testing.assert_allclose(vector, states[first:stop, 2].mean(axis=0), atol=4e-3)
        assert (row["first"][0], row["stop"][-1]) == (0, row["n_frames"]) and len(row["first"]) == 2
