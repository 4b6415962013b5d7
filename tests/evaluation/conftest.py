"""Small planted corpora with a three-part split each, as real corpora have."""

import numpy as np
import pytest
import torch

from agser_core.evaluation.planted import Sizes, planted_pair
from agser_core.ser.settings import NetworkSettings, TrainSettings

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def corpora():
    """(data by name, partition by name): six speakers a corpus, four in train, one each in dev and test."""
    pair = planted_pair("info", 0, Sizes((80, 4), (40, 2), (80, 4), (60, 2)))
    data, partitions = {"alder": pair.source, "birch": pair.target}, {}
    for name, corpus in data.items():
        speakers, index = np.unique(corpus.speaker, return_inverse=True)
        partitions[name] = np.array(["train"] * 4 + ["dev", "test"])[index]
        assert len(speakers) == 6
    return data, partitions


@pytest.fixture(scope="session")
def quick():
    """Settings of a fit of a second."""
    network = NetworkSettings(width=16, heads=2, feed_forward=24, classifier=8, transformer_layers=1)
    return TrainSettings(epochs=2, network=network)
