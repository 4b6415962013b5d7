import doctest

import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, confusion_matrix

from agser_core.ser import metrics


def test_examples_of_the_docstrings():
    assert doctest.testmod(metrics).failed == 0


def test_confusion_and_uar_agree_with_scikit_learn():
    generator = np.random.default_rng(0)
    truth, predicted = generator.integers(4, size=(2, 200))
    counts = metrics.confusion(truth, predicted, 4)
    assert np.array_equal(counts, confusion_matrix(truth, predicted))
    assert metrics.uar(counts) == pytest.approx(balanced_accuracy_score(truth, predicted))


def test_one_vs_rest_is_the_uar_of_the_binary_decision():
    generator = np.random.default_rng(1)
    truth, predicted = generator.integers(4, size=(2, 200))
    merged = metrics.uar(metrics.one_vs_rest(metrics.confusion(truth, predicted, 4)))
    expected = [balanced_accuracy_score(truth == label, predicted == label) for label in range(4)]
    assert merged == pytest.approx(expected)


def test_uar_counts_only_classes_that_occur():
    assert metrics.uar(metrics.confusion([0, 0, 2], [0, 1, 2], 4)) == pytest.approx(0.75)
    assert np.isnan(metrics.uar(np.zeros((2, 2))))


def test_uar_of_many_confusions_at_once():
    counts = np.random.default_rng(2).integers(9, size=(3, 5, 4, 4))
    assert metrics.uar(counts)[1, 2] == pytest.approx(metrics.uar(counts[1, 2]))


def test_labels_out_of_range_are_refused():
    with pytest.raises(ValueError, match="without a label"):
        metrics.confusion([-1, 0], [0, 0], 2)


def test_calibration_error_of_a_sure_and_right_model_is_zero():
    assert metrics.expected_calibration_error(np.eye(4), np.arange(4)) == 0
    assert metrics.expected_calibration_error(np.eye(4), np.array([1, 0, 3, 2])) == 1
