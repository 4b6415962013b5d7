"""From stored weights to probabilities and embeddings."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import torch

from agser_core.errors import ConfigError
from agser_core.ser.batches import make_batch
from agser_core.ser.dataset import SpeechData
from agser_core.ser.frames import top_layers_of
from agser_core.ser.network import EmotionNetwork
from agser_core.ser.settings import TrainSettings

if TYPE_CHECKING:  # imports transformers
    from agser_core.speech.top_layers import TopLayers

_CLIPS_AT_ONCE = 128


def load_network(
    weights: dict[str, torch.Tensor], settings: TrainSettings, device: str = "cpu", top: TopLayers | None = None
) -> EmotionNetwork:
    """The network of stored weights (`FitResult.weights`), ready for prediction.

    top: for weights of a fine-tuned encoder its layers (`frames.top_layers_of`), into which they are loaded.
    """
    layers, dimension = weights["input_mean"].shape
    network = EmotionNetwork(layers, dimension, len(weights["classify.bias"]), settings.network, top)
    network.load_state_dict(weights)
    return network.to(device).eval()


def predict(
    weights: dict[str, torch.Tensor], settings: TrainSettings, data: SpeechData, device: str = "cpu"
) -> np.ndarray:
    """Probabilities of the classes, float32 [C, classes], rows sum to 1. `data` is normalised as training data was."""
    return run(load_network(weights, settings, device, top_layers_of(settings, data)), data).probabilities


class Predicted(NamedTuple):
    """Everything one pass over a corpus yields, as float32 arrays."""

    probabilities: np.ndarray  # [C, classes]
    clips: np.ndarray  # [C, H]
    phones: np.ndarray  # [P, H]


@torch.no_grad()
def run(network: EmotionNetwork, data: SpeechData) -> Predicted:
    """One pass over all clips, without dropout."""
    expected = tuple(network.input_mean.shape)
    if (data.n_layers, data.dimension) != expected:
        raise ConfigError(
            f"{data.corpus}: phone vectors are {data.n_layers} x {data.dimension}, the network was trained on "
            f"{expected[0]} x {expected[1]}; extract with the encoder it was trained with"
        )
    device, outputs = network.input_mean.device, []
    for start in range(0, len(data), _CLIPS_AT_ONCE):
        clips = np.arange(start, min(start + _CLIPS_AT_ONCE, len(data)))
        outputs.append(network(make_batch([(data, clips)], device, network.tuned)))

    def joined(field: str) -> np.ndarray:
        return torch.cat([getattr(output, field) for output in outputs]).float().cpu().numpy()

    if not outputs:
        empty = np.zeros((0, network.project.out_features), np.float32)
        return Predicted(np.zeros((0, network.classify.out_features), np.float32), empty, empty)
    probabilities = torch.cat([output.logits.float().softmax(1) for output in outputs]).cpu().numpy()
    return Predicted(probabilities, joined("clips"), joined("phones"))
