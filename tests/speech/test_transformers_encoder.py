"""Pretrained-model encoders on tiny models with random weights, saved and loaded by path as real ones are."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from agser_core.errors import AgserError, ClipError, ConfigError
from agser_core.speech import load_encoder
from agser_core.speech.encoder import encoder_folder

KINDS = ["wav2vec2", "wav2vec2-group", "xls-r", "hubert", "wavlm", "whisper"]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """As HF_HUB_OFFLINE=1 does, which is read when the library is first imported."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)


@pytest.mark.parametrize("kind", KINDS)
def test_shapes_and_promises(tiny_model, glide, kind):
    encoder = load_encoder(tiny_model(kind), device="cpu")
    assert (encoder.n_layers, encoder.dimension, encoder.frame_rate, encoder.pretrained) == (3, 32, 50.0, True)
    clips = encoder.encode([glide(1.0), glide(0.4)])
    expected = [50, 20] if kind == "whisper" else [49, 19]
    assert [clip.shape for clip in clips] == [(frames, 3, 32) for frames in expected]
    assert all(clip.dtype == np.float32 and np.isfinite(clip).all() for clip in clips)


@pytest.mark.parametrize("kind", KINDS)
def test_a_clip_does_not_depend_on_its_batch(tiny_model, glide, kind):
    encoder = load_encoder(tiny_model(kind), device="cpu")
    clips = [glide(0.5), glide(1.7, 90, 300, seed=1), glide(0.51, 200, 90, seed=2), glide(0.5, 300, 150, seed=3)]
    together = encoder.encode(clips)
    for clip, frames in zip(clips, together, strict=True):
        alone = encoder.encode([clip])[0]
        assert alone.shape == frames.shape
        np.testing.assert_allclose(frames, alone, atol=1e-5)
    assert not np.allclose(together[0], together[3], atol=1e-3), "the order is kept"


@pytest.mark.parametrize("kind", ["wav2vec2", "whisper"])
def test_chosen_layers_are_those_of_all(tiny_model, glide, kind):
    everything = load_encoder(tiny_model(kind), device="cpu").encode([glide(0.6)])[0]
    chosen = load_encoder(tiny_model(kind), layers=[2, 0], device="cpu")
    assert chosen.n_layers == 2
    np.testing.assert_array_equal(chosen.encode([glide(0.6)])[0], everything[:, [2, 0]])
    np.testing.assert_array_equal(
        load_encoder(tiny_model(kind), layers=[-1], device="cpu").encode([glide(0.6)])[0], everything[:, [2]]
    )
    for layers, message in (([3], "no layer 3: it has 0 to 2"), ([], "no layer")):
        with pytest.raises(ConfigError, match=message):
            load_encoder(tiny_model(kind), layers=layers, device="cpu")


def test_the_models_own_forward_pass_is_what_comes_out(tiny_model, glide):
    import torch
    import transformers

    folder, clip = tiny_model("hubert"), glide(0.8)
    model = transformers.HubertModel.from_pretrained(folder).eval()
    normalised = (clip - clip.mean()) / np.sqrt(clip.var() + 1e-7)
    with torch.no_grad():
        states = model(torch.tensor(normalised)[None], output_hidden_states=True).hidden_states
    expected = torch.stack(states, dim=2)[0].numpy()
    np.testing.assert_allclose(load_encoder(folder, device="cpu").encode([clip])[0], expected, atol=1e-5)


def test_normalisation_is_the_feature_extractors(tiny_model, glide, tmp_path):
    """With do_normalize a gain changes nothing; a model whose extractor does not normalise hears it."""
    with_it = load_encoder(tiny_model("wav2vec2"), device="cpu")
    np.testing.assert_allclose(with_it.encode([glide(0.5)])[0], with_it.encode([glide(0.5) * 0.2])[0], atol=1e-3)
    folder = Path(shutil.copytree(tiny_model("xls-r"), tmp_path / "plain"))
    settings = json.loads((folder / "preprocessor_config.json").read_text()) | {"do_normalize": False}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    without = load_encoder(str(folder), device="cpu")
    assert np.abs(without.encode([glide(0.5)])[0] - without.encode([glide(0.5) * 0.2])[0]).max() > 1e-3


def test_whisper_hears_clips_longer_than_its_window(tiny_model, glide):
    encoder = load_encoder(tiny_model("whisper"), device="cpu")
    clip = glide(4.5)  # the tiny model's window is 2 s
    frames = encoder.encode([clip])[0]
    assert frames.shape == (225, 3, 32)
    np.testing.assert_allclose(frames[:100], encoder.encode([clip[:32000]])[0], atol=1e-5)


def test_weights_are_frozen(tiny_model):
    encoder = load_encoder(tiny_model("wavlm"), device="cpu")
    assert not any(parameter.requires_grad for parameter in encoder._model.parameters())
    assert not encoder._model.training


def test_a_clip_shorter_than_one_frame(tiny_model):
    encoder = load_encoder(tiny_model("wav2vec2"), device="cpu")
    assert encoder.encode([np.zeros(400, dtype=np.float32)])[0].shape == (1, 3, 32)
    with pytest.raises(ClipError, match="too short"):
        encoder.encode([np.zeros(399, dtype=np.float32)])


@pytest.mark.parametrize("name", ["facebook/wav2vec2-base", "no-such-folder/model"])
def test_offline_the_error_names_the_remedy(name, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(AgserError, match="hf download.*embedded"):
        load_encoder(name)


def test_weights_that_are_not_all_there_are_refused(tiny_model, tmp_path):
    from safetensors.torch import load_file, save_file

    folder = Path(shutil.copytree(tiny_model("hubert"), tmp_path / "partial"))
    weights = load_file(folder / "model.safetensors")
    removed = next(name for name in weights if "layers.1" in name)
    save_file({name: tensor for name, tensor in weights.items() if name != removed}, folder / "model.safetensors")
    with pytest.raises(AgserError, match="lack 1 tensors"):
        load_encoder(str(folder), device="cpu")


def test_models_of_other_kinds_and_rates_are_refused(tiny_model, tmp_path):
    import transformers

    config = transformers.UniSpeechConfig(
        hidden_size=32, num_hidden_layers=1, num_attention_heads=2, intermediate_size=32, conv_dim=(16,) * 7
    )
    transformers.UniSpeechModel(config).save_pretrained(tmp_path / "other")
    transformers.Wav2Vec2FeatureExtractor().save_pretrained(tmp_path / "other")
    with pytest.raises(ConfigError, match="unispeech"):
        load_encoder(str(tmp_path / "other"))
    folder = Path(shutil.copytree(tiny_model("wav2vec2"), tmp_path / "rate"))
    settings = json.loads((folder / "preprocessor_config.json").read_text()) | {"sampling_rate": 8000}
    (folder / "preprocessor_config.json").write_text(json.dumps(settings))
    with pytest.raises(ConfigError, match="8000 Hz"):
        load_encoder(str(folder))


def test_a_folder_is_found_as_other_places_of_an_experiment_are(tiny_model, tmp_path, monkeypatch, glide):
    """A job of a cluster runs elsewhere than where it was submitted."""
    (tmp_path / "models").symlink_to(Path(tiny_model("hubert")).parent)
    name = f"models/{Path(tiny_model('hubert')).name}"
    monkeypatch.setenv("AGSER_ROOT", str(tmp_path))
    (found,) = load_encoder(name, device="cpu").encode([glide(0.4)])
    (expected,) = load_encoder(tiny_model("hubert"), device="cpu").encode([glide(0.4)])
    assert np.array_equal(found, expected) and encoder_folder(name) == str(tmp_path / name)
    assert encoder_folder("facebook/wav2vec2-base") is None is encoder_folder("embedded")
