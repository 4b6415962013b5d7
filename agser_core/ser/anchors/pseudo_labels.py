"""Reference without keys: self-training on the target's surest clips (Lee, ICML Workshops 2013)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch.nn import functional

from agser_core.ser.anchors.base import Anchor, View
from agser_core.ser.anchors.sapa import balanced
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import AnchorSettings, TrainSettings

_TRUSTED = 0.5  # of the target's clips: the surer half


def build(source: SpeechData, target: SpeechData, settings: TrainSettings, seed: int) -> PseudoLabels:
    """The method of the registry."""
    return PseudoLabels(target, settings.anchor)


class PseudoLabels(Anchor):
    """gamma times the cross-entropy of target clips with what the network itself calls them.

    Before each epoch all target clips are predicted, the probabilities `balanced` over the classes, and the surer half
    of the clips keeps its class for that epoch; the others take no part.
    """

    def __init__(self, target: SpeechData, settings: AnchorSettings):
        super().__init__()
        self.target, self.settings = target, settings

    def start_epoch(self, epoch: int, predict: Callable[[SpeechData], np.ndarray]) -> None:
        """New pseudo-labels."""
        probabilities = balanced(predict(self.target))
        sure = probabilities.max(1)
        trusted = sure >= np.quantile(sure, 1 - _TRUSTED)
        self.label = np.where(trusted, probabilities.argmax(1), -1)

    def loss(self, source: View, target: View, progress: float) -> tuple[torch.Tensor, dict[str, float]]:
        """Mean over the trusted clips of the step; 0 where there is none."""
        label = torch.from_numpy(self.label[target.clip]).to(target.logits.device)
        trusted = label >= 0
        if not trusted.any():
            return target.logits.sum() * 0, {"anchor_loss": 0.0, "pseudo_labelled": 0.0}
        value = functional.cross_entropy(target.logits[trusted], label[trusted])
        figures = {"anchor_loss": float(value.detach()), "pseudo_labelled": float(trusted.double().mean())}
        return self.settings.gamma * value, figures
