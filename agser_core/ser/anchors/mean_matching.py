"""Reference without keys: the mean vowel embeddings of both corpora are pulled together."""

import torch

from agser_core.ser.anchors import losses
from agser_core.ser.anchors.base import Anchor, View
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import AnchorSettings, TrainSettings


def build(source: SpeechData, target: SpeechData, settings: TrainSettings, seed: int) -> "MeanMatching":
    """The method of the registry."""
    return MeanMatching(settings.anchor)


class MeanMatching(Anchor):
    """gamma |mean_s z_s - mean_a z_a|^2 over vowels."""

    def __init__(self, settings: AnchorSettings):
        super().__init__()
        self.settings = settings

    def loss(self, source: View, target: View, progress: float) -> tuple[torch.Tensor, dict[str, float]]:
        """See `losses.mean_matching`."""
        value = losses.mean_matching(*(view.phones[view.vowels()] for view in (source, target)))
        return self.settings.gamma * value, {"anchor_loss": float(value.detach())}
