"""Reference without keys: domain-adversarial training on the pooled clip vectors (Ganin et al., JMLR 2016)."""

import math

import torch
from torch import Tensor, nn

from agser_core.ser.anchors.base import Anchor, View
from agser_core.ser.dataset import SpeechData
from agser_core.ser.settings import AnchorSettings, TrainSettings

_HIDDEN = 64


def build(source: SpeechData, target: SpeechData, settings: TrainSettings, seed: int) -> "DomainAdversary":
    """The method of the registry; the discriminator's weights are drawn from seed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return DomainAdversary(settings.network.width, settings.anchor)


class DomainAdversary(Anchor):
    """A discriminator learns which corpus a clip vector is from; its reversed gradient makes the network hide it.

    L = mean over both corpora of the binary cross-entropy; the gradient into the network is scaled by
    -gamma dann_weight (2 / (1 + exp(-10 progress)) - 1), the paper's ramp (equation 14). The discriminator itself
    learns at full scale.
    """

    def __init__(self, width: int, settings: AnchorSettings):
        super().__init__()
        self.settings = settings
        self.discriminator = nn.Sequential(nn.Linear(width, _HIDDEN), nn.ReLU(), nn.Linear(_HIDDEN, 1))

    def loss(self, source: View, target: View, progress: float) -> tuple[Tensor, dict[str, float]]:
        """Cross-entropy of the discriminator on as many clips of either corpus."""
        strength = self.settings.gamma * self.settings.dann_weight * (2 / (1 + math.exp(-10 * progress)) - 1)
        clips = _Reversed.apply(torch.cat([source.clips, target.clips]), strength)
        corpus = torch.cat([clips.new_zeros(len(source.clips)), clips.new_ones(len(target.clips))])
        logits = self.discriminator(clips).squeeze(-1)
        value = nn.functional.binary_cross_entropy_with_logits(logits, corpus)
        right = ((logits.detach() > 0) == (corpus > 0.5)).double().mean()
        return value, {"anchor_loss": float(value.detach()), "discriminator_accuracy": float(right)}


class _Reversed(torch.autograd.Function):
    """Identity forward, gradient times -strength backward."""

    @staticmethod
    def forward(context, values: Tensor, strength: float) -> Tensor:
        context.strength = strength
        return values.view_as(values)

    @staticmethod
    def backward(context, gradient: Tensor) -> tuple[Tensor, None]:
        return -context.strength * gradient, None
