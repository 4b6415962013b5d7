"""The start of training: shrinkage discriminant against scikit-learn's, and the network that begins there."""

import numpy as np
import pytest
import torch
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from agser_core.ser.batches import make_batch
from agser_core.ser.dataset import moments
from agser_core.ser.discriminant import discriminant, start_at_discriminant
from agser_core.ser.network import EmotionNetwork
from agser_core.ser.settings import NetworkSettings


def clip_means(data) -> np.ndarray:
    vectors = data.read(np.arange(data.offsets[-1])).mean(1).astype(np.float64)
    return np.add.reduceat(vectors, data.offsets[:-1]) / data.lengths[:, None]


@pytest.mark.parametrize("shrinkage", [0.2, 0.9])
def test_the_discriminant_is_scikit_learns(shrinkage):
    """Of classes of equal size, where the class weights make no difference; theirs scales by the covariance within."""
    generator = np.random.default_rng(0)
    classes = np.repeat(np.arange(3), 40)
    vectors = generator.normal(size=(120, 5)) @ generator.normal(size=(5, 5)) + generator.normal(size=(3, 5))[classes]
    vectors /= vectors.std(0) + 1e-3
    weights, biases = discriminant(vectors, classes, 3, shrinkage)
    model = LinearDiscriminantAnalysis(solver="eigen", shrinkage=shrinkage)
    scaled = vectors / (vectors.std(0) + 1e-3)
    covariance = np.mean([np.cov(scaled[classes == label].T, bias=True) for label in range(3)], axis=0)
    assert np.linalg.matrix_rank(covariance) == 5
    found = vectors @ weights.T + biases
    expected = model.fit(scaled, classes).decision_function(scaled)
    assert (found.argmax(1) == expected.argmax(1)).mean() > 0.97


def test_a_class_without_clips_and_dead_dimensions_are_survived():
    vectors = np.random.default_rng(0).normal(size=(30, 4))
    vectors[:, 2] = 7.0
    weights, biases = discriminant(vectors, np.arange(30) % 2 * 3, 4, 0.5)
    assert np.isfinite(weights).all() and not weights[1:3].any() and not biases[1:3].any() and not weights[:, 2].any()


@pytest.mark.parametrize("layers", [0, 2])
def test_the_network_starts_at_the_discriminant(small_pair, layers):
    torch.manual_seed(0)
    data = small_pair.source
    settings = NetworkSettings(
        width=16, heads=2, feed_forward=24, classifier=8, transformer_layers=layers, shrinkage=0.7
    )
    network = EmotionNetwork(1, 64, 4, settings)
    for buffer, values in zip((network.input_mean, network.input_deviation), moments(data), strict=True):
        buffer.copy_(torch.from_numpy(values))
    start_at_discriminant(network, data, 0.7)
    mean, deviation = (values[0] for values in moments(data))
    means = (clip_means(data) - mean) / deviation
    labelled = data.emotion >= 0
    weights, biases = discriminant(means[labelled], data.emotion[labelled].astype(int), 4, 0.7)
    logits = network(make_batch([(data, np.arange(len(data)))])).logits.detach().numpy()
    np.testing.assert_allclose(logits, means @ weights.T + biases, atol=1e-3)


def test_a_group_of_layers_alone_starts_the_network():
    """The discriminant is of what the network reads, not of the layers that are masked."""
    from agser_core.evaluation.planted import Sizes, planted_layers

    data = planted_layers(0, Sizes((60, 3), (30, 2), (60, 3), (30, 2)), layers=2, clear=(0,)).source
    settings = NetworkSettings(width=16, heads=2, feed_forward=24, classifier=8, transformer_layers=0, shrinkage=0.7)
    found = []
    for noise in (0.0, 5.0):
        torch.manual_seed(0)
        network = EmotionNetwork(2, 64, 4, settings)
        network.read_only(slice(0, 1))
        network.input_mean[1] += noise
        start_at_discriminant(network, data, 0.7)
        found.append(network.project.weight.detach().clone())
    assert torch.equal(*found)
