"""LA: layer anchoring (Upadhyay, Busso, Lee, arXiv 2407.04966): CORAL on the encoder layers that are most alike."""

from __future__ import annotations

import numpy as np
import torch

from agser_core.ser.anchors import losses
from agser_core.ser.anchors.base import Anchor, View
from agser_core.ser.dataset import SpeechData, phones_of
from agser_core.ser.settings import AnchorSettings, TrainSettings

_CLIPS_COMPARED = 1000  # of each corpus, when layers are compared


def build(source: SpeechData, target: SpeechData, settings: TrainSettings, seed: int) -> LayerAnchor:
    """Chooses the group of layers from training clips, without labels."""
    differences = layer_differences(source, target, seed)
    return LayerAnchor(most_alike(differences, settings.anchor.layer_groups), settings.anchor)


class LayerAnchor(Anchor):
    """gamma coral_weight |C_S - C_T|_F^2 / (4 H^2) of the projected clip means of one group of layers.

    The network reads that group alone ([ours]; the learned sum runs over its layers), so that what is aligned is what
    is used.
    """

    def __init__(self, layer_group: slice, settings: AnchorSettings):
        super().__init__()
        self.layer_group, self.settings = layer_group, settings

    def loss(self, source: View, target: View, progress: float) -> tuple[torch.Tensor, dict[str, float]]:
        """See `losses.coral`."""
        value = self.settings.coral_weight * losses.coral(source.inputs, target.inputs)
        figures = {"anchor_loss": float(value.detach()), "first_layer": float(self.layer_group.start)}
        return self.settings.gamma * value, figures


def layer_differences(source: SpeechData, target: SpeechData, seed: int) -> np.ndarray:
    """How differently each layer is distributed in two corpora, float64 [L], >= 0.

    Per layer: clip means, standardised by the pooled deviation, then |mean_S - mean_T|^2 / D + |C_S - C_T|_F^2 / D^2.
    """
    generator = np.random.default_rng([seed, 12])
    means = [_clip_means(data, generator) for data in (source, target)]
    deviation = np.sqrt((means[0].var(0) + means[1].var(0)) / 2)
    first, second = (part / np.maximum(deviation, 1e-6) for part in means)
    found = []
    for layer in range(source.n_layers):
        covariances = np.cov(first[:, layer].T) - np.cov(second[:, layer].T)
        offset = first[:, layer].mean(0) - second[:, layer].mean(0)
        found.append((offset**2).mean() + (covariances**2).mean())
    return np.array(found)


def most_alike(differences: np.ndarray, groups: int) -> slice:
    """The contiguous group of layers, of `groups` nearly equal ones, with the least mean difference.

    >>> most_alike(np.array([3.0, 2.0, 0.5, 0.4, 9.0, 0.1]), 3)
    slice(2, 4, None)
    """
    groups = min(groups, len(differences))
    bounds = [len(differences) * index // groups for index in range(groups + 1)]
    means = [differences[start:stop].mean() for start, stop in zip(bounds, bounds[1:], strict=False)]
    best = int(np.argmin(means))
    return slice(bounds[best], bounds[best + 1])


def _clip_means(data: SpeechData, generator: np.random.Generator) -> np.ndarray:
    """Means over the phones of up to _CLIPS_COMPARED clips, float64 [clips, L, D]."""
    clips = np.sort(generator.permutation(len(data))[:_CLIPS_COMPARED])
    vectors = data.read(phones_of(data.offsets, clips)).astype(np.float64)
    lengths = data.lengths[clips]
    return np.add.reduceat(vectors, np.cumsum(lengths) - lengths) / lengths[:, None, None]
