"""A small bundle with drawn weights."""

import torch

from agser_core.bundle.files import EncoderFacts, installed_versions
from agser_core.bundle.model import ALIGNED, ENCODER_CODE, NETWORK, WINDOWS, statistics_name
from agser_core.corpora.clip import CLASSES
from agser_core.fingerprint import code_version
from agser_core.ser.network import EmotionNetwork
from agser_core.ser.settings import NetworkSettings, TrainSettings
from agser_core.speech import load_encoder

SIZES = NetworkSettings(width=16, heads=2, feed_forward=16, transformer_layers=1, classifier=8)


def made_facts(**changes) -> dict:
    encoder = load_encoder()
    return {
        "name": "drawn",
        "created": "2026-01-01T00:00:00Z",
        "fingerprint": "0123456789ab",
        "source": "alder",
        "target": "birch",
        "classes": list(CLASSES),
        "encoder": EncoderFacts(
            name="embedded",
            pretrained=False,
            layers=None,
            shape=(encoder.n_layers, encoder.dimension),
            code=code_version(*ENCODER_CODE),
        ),
        "normalise": "corpus",
        "window": 0.09,
        "settings": TrainSettings(network=SIZES),
        "experiment": {},
        "figures": {},
        "versions": installed_versions(),
        **changes,
    }


def made_tensors() -> dict[str, torch.Tensor]:
    """Weights of a network and statistics of both corpora, all drawn with one seed."""
    encoder, generator = load_encoder(), torch.Generator().manual_seed(1)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = EmotionNetwork(encoder.n_layers, encoder.dimension, len(CLASSES), SIZES)
    tensors = {NETWORK + name: tensor for name, tensor in network.state_dict().items()}
    for corpus in ("alder", "birch"):
        for kind in (ALIGNED, WINDOWS):
            for part in ("centre", "scale"):
                drawn = torch.rand(encoder.n_layers, encoder.dimension, generator=generator)
                tensors[statistics_name(corpus, kind, part)] = drawn + (part == "scale")
    return tensors
