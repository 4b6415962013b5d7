"""Signals with known pitch, and tiny models with random weights, saved as a hub model is."""

import numpy as np
import pytest


def _glide(seconds: float, low: float = 120.0, high: float = 240.0, seed: int = 0) -> np.ndarray:
    """A harmonic tone whose pitch glides up by equal ratios, with a little noise: float32 at 16 kHz."""
    time = np.arange(int(seconds * 16000)) / 16000
    pitch = low * (high / low) ** (time / seconds)
    phase = 2 * np.pi * np.cumsum(pitch) / 16000
    tone = sum(np.sin(k * phase) / k for k in range(1, 11))
    noise = np.random.default_rng(seed).standard_normal(len(time))
    return (0.1 * tone + 0.001 * noise).astype(np.float32)


@pytest.fixture(scope="session")
def glide():
    return _glide


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory):
    """A function that saves a tiny random model of a kind and returns its folder; the same folder for the same kind."""
    torch = pytest.importorskip("torch")
    import transformers

    folders: dict[str, str] = {}
    sizes = dict(hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=48)
    convolution = dict(conv_dim=(16,) * 7, num_conv_pos_embeddings=16, num_conv_pos_embedding_groups=4)
    kinds = {
        "wav2vec2": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model, {"feat_extract_norm": "layer"}),
        "wav2vec2-group": (transformers.Wav2Vec2Config, transformers.Wav2Vec2Model, {"feat_extract_norm": "group"}),
        "xls-r": (
            transformers.Wav2Vec2Config,
            transformers.Wav2Vec2Model,
            {"feat_extract_norm": "layer", "do_stable_layer_norm": True, "conv_bias": True},
        ),
        "hubert": (transformers.HubertConfig, transformers.HubertModel, {"feat_extract_norm": "layer"}),
        "wavlm": (transformers.WavLMConfig, transformers.WavLMModel, {"feat_extract_norm": "layer"}),
    }

    def save(kind: str) -> str:
        if kind in folders:
            return folders[kind]
        torch.manual_seed(0)
        if kind == "whisper":
            config = transformers.WhisperConfig(
                d_model=32,
                encoder_layers=2,
                decoder_layers=1,
                encoder_attention_heads=2,
                decoder_attention_heads=2,
                encoder_ffn_dim=48,
                decoder_ffn_dim=48,
                max_source_positions=100,
                vocab_size=64,
                pad_token_id=0,
                bos_token_id=1,
                eos_token_id=2,
                decoder_start_token_id=1,
            )
            model, features = transformers.WhisperModel(config), transformers.WhisperFeatureExtractor(chunk_length=2)
        else:
            configuration, architecture, options = kinds[kind]
            model = architecture(configuration(**sizes, **convolution, **options))
            features = transformers.Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=True)
        folders[kind] = str(tmp_path_factory.mktemp(kind))
        model.save_pretrained(folders[kind])
        features.save_pretrained(folders[kind])
        return folders[kind]

    return save
