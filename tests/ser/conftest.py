"""Small planted corpora that all tests of training share."""

import pytest
import torch

from agser_core.evaluation.planted import Sizes, planted_pair

torch.set_num_threads(1)


@pytest.fixture(scope="session")
def small_pair():
    """A pair of corpora of a hundred clips each."""
    return planted_pair("info", 0, Sizes((90, 4), (40, 2), (90, 4), (60, 3)))
