"""Where the network starts: at the linear discriminant of the source's training clips.

A few hundred clips can't teach a network of random weights which of its inputs to trust. Their discriminant, shrunk, is
known in closed form and is hard to beat at that size; training goes on from there.
"""

from __future__ import annotations

import numpy as np
import torch

from agser_core.ser.dataset import SpeechData
from agser_core.ser.network import EmotionNetwork

_CLIPS_AT_ONCE = 512


def discriminant(
    vectors: np.ndarray, classes: np.ndarray, n_classes: int, shrinkage: float
) -> tuple[np.ndarray, np.ndarray]:
    """Linear discriminant of equally likely classes (Fisher 1936), covariance shrunk (Friedman, JASA 1989, eq. 18).

    vectors [C, D], classes int [C] -> weights [n_classes, D], biases [n_classes] of logits W x + b. Every dimension is
    scaled to deviation 1 before (1 - a) S + a tr(S) / D I with a = shrinkage in (0, 1], S the covariance within
    classes, every class weighing the same. A class without clips has weights 0.
    """
    deviation = vectors.std(0) + 1e-3
    scaled = vectors / deviation
    there = np.unique(classes)
    means = np.stack([scaled[classes == label].mean(0) for label in there])
    residuals = scaled - means[np.searchsorted(there, classes)]
    share = 1 / np.bincount(classes, minlength=n_classes)[classes] / len(there)
    covariance = (residuals * share[:, None]).T @ residuals
    size = len(covariance)
    shrunk = (1 - shrinkage) * covariance + shrinkage * max(np.trace(covariance) / size, 1e-6) * np.eye(size)
    directions = np.linalg.solve(shrunk, means.T).T
    biases = -(directions * means).sum(1) / 2
    weights, offsets = np.zeros((n_classes, size)), np.zeros(n_classes)
    weights[there] = (directions - directions.mean(0)) / deviation
    offsets[there] = biases - biases.mean()
    return weights, offsets


@torch.no_grad()
def start_at_discriminant(network: EmotionNetwork, source: SpeechData, shrinkage: float) -> None:
    """Set weights such that the logits are those of the `discriminant` of the clips' mean vectors.

    The first dimensions of the projection become its directions, at the length of the random ones beside them, and the
    linear path reads them; the path through Transformer and hidden layer adds nothing at first.
    """
    labelled = source.take(source.emotion >= 0)
    weights, biases = discriminant(
        _clip_vectors(network, labelled), labelled.emotion.astype(np.int64), len(source.classes), shrinkage
    )
    count = len(weights)
    usual = network.project.weight.norm(dim=1).mean()
    length = torch.from_numpy(np.linalg.norm(weights, axis=1).mean(keepdims=True)).float().to(usual.device) / usual
    network.project.weight[:count] = torch.from_numpy(weights).to(usual) / length
    network.project.bias[:count] = 0
    network.linear.weight.zero_()
    network.linear.weight[:, :count] = torch.eye(count).to(usual) * length
    network.classify.bias.copy_(torch.from_numpy(biases))
    network.classify.weight.zero_()


def _clip_vectors(network: EmotionNetwork, data: SpeechData) -> np.ndarray:
    """What the projection sees of each clip, mean over its phones, float64 [C, D]."""
    share = (network.layer_weights + network.layer_mask).softmax(0).cpu().numpy()
    mean, deviation = (buffer.cpu().numpy() for buffer in (network.input_mean, network.input_deviation))
    found = np.empty((len(data), data.dimension))
    for start in range(0, len(data), _CLIPS_AT_ONCE):
        stop = min(start + _CLIPS_AT_ONCE, len(data))
        vectors = (data.read(np.arange(data.offsets[start], data.offsets[stop])) - mean) / deviation
        summed = np.einsum("nld,l->nd", vectors, share).astype(np.float64)
        edges = data.offsets[start:stop] - data.offsets[start]
        found[start:stop] = np.add.reduceat(summed, edges) / data.lengths[start:stop, None]
    return found
