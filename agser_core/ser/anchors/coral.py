"""Reference without keys: Deep CORAL on the pooled clip vectors (Sun & Saenko, ECCV Workshops 2016)."""

import torch

from agser_core.ser.anchors import losses
from agser_core.ser.anchors.base import Anchor, View
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import AnchorSettings, TrainSettings


def build(source: SpeechData, target: SpeechData, settings: TrainSettings, seed: int) -> "Coral":
    """The method of the registry."""
    return Coral(settings.anchor)


class Coral(Anchor):
    """gamma coral_weight |C_S - C_T|_F^2 / (4 H^2) of clip vectors."""

    def __init__(self, settings: AnchorSettings):
        super().__init__()
        self.settings = settings

    def loss(self, source: View, target: View, progress: float) -> tuple[torch.Tensor, dict[str, float]]:
        """See `losses.coral`."""
        value = self.settings.coral_weight * losses.coral(source.clips, target.clips)
        return self.settings.gamma * value, {"anchor_loss": float(value.detach())}
