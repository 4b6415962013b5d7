"""Fixtures that every room's tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder with clips of real corpora, which only some machines have."""
    folder = Path(os.environ.get("AGSER_REAL_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real corpora at {folder}: set AGSER_REAL_DATA to a folder with ravdess/, grid_s1/, emodb/")
    return folder


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
        "wavlm-stable": (
            transformers.WavLMConfig,
            transformers.WavLMModel,
            {"feat_extract_norm": "layer", "do_stable_layer_norm": True},
        ),
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
