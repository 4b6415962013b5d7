"""Criteria on evidence whose answer is known by hand."""

import dataclasses

import numpy as np
import pytest

from agser_core.tuning import criteria
from agser_core.tuning.criteria import CRITERIA, Evidence


def evidence(good: float, seed: int = 0, clips: int = 240) -> Evidence:
    """Four classes as clusters in embeddings that a classifier reads with more or less certainty. good 0: at random."""
    generator = np.random.default_rng(seed)
    labels, truth = (generator.integers(4, size=size) for size in (clips, clips))
    centres = np.eye(8)[:4] * 4

    def of(classes):
        embeddings = good * centres[classes] + generator.normal(size=(len(classes), 8))
        logits = good * embeddings @ centres.T / 2
        probabilities = np.exp(logits - logits.max(1, keepdims=True))
        return probabilities / probabilities.sum(1, keepdims=True), embeddings

    dev, target = of(labels), of(truth)
    return Evidence(dev[0], labels, dev[1], target[0], target[1])


def test_every_criterion_prefers_clear_clusters_to_noise():
    clear, noise = evidence(1.0), evidence(0.15)
    for name, criterion in CRITERIA.items():
        if name == "density":  # of probabilities alone: all alike is dense too
            continue
        if name == "density_embeddings":
            continue
        assert criterion(clear) > criterion(noise), name


def test_closed_forms():
    quarter = np.full((8, 4), 0.25)
    sure = np.eye(4)[np.arange(8) % 4]
    one = np.eye(4)[np.zeros(8, dtype=int)]
    base = evidence(1.0, clips=8)

    def of(probabilities):
        return dataclasses.replace(base, probabilities=probabilities)

    assert criteria.entropy(of(quarter)) == pytest.approx(-np.log(4))
    assert criteria.entropy(of(sure)) == criteria.entropy(of(one)) == pytest.approx(0, abs=1e-9)
    assert criteria.infomax(of(sure)) == pytest.approx(np.log(4))
    assert criteria.infomax(of(one)) == pytest.approx(0, abs=1e-9) == criteria.infomax(of(quarter))
    assert criteria.class_correlation(of(sure)) == pytest.approx(1)
    assert criteria.class_correlation(of(one)) == pytest.approx(0.5)
    assert criteria.nuclear_norm(of(sure)) == pytest.approx(1)
    assert criteria.nuclear_norm(of(one)) == pytest.approx(0.5)
    # Eight clips alike: every clip has seven neighbours, all as near.
    assert criteria.soft_neighbourhood_density(of(quarter)) == pytest.approx(np.log(7))
    # Two of each class, orthogonal: one neighbour has all the weight.
    assert criteria.soft_neighbourhood_density(of(sure)) == pytest.approx(0, abs=1e-6)


def test_source_criteria_by_hand():
    probabilities = np.array([[0.9, 0.1], [0.6, 0.4], [0.2, 0.8], [0.7, 0.3]])
    labels = np.array([0, 0, 1, 1])
    found = Evidence(probabilities, labels, np.zeros((4, 2)), probabilities, np.zeros((4, 2)))
    assert criteria.dev_uar(found) == pytest.approx((1 + 0.5) / 2)
    assert criteria.dev_loss(found) == pytest.approx(np.log([0.9, 0.6, 0.8, 0.3]).mean())


def test_thresholded_confidence_gives_the_source_accuracy_where_nothing_shifts():
    found = evidence(0.5, clips=2000)
    same = dataclasses.replace(found, probabilities=found.dev_probabilities, embeddings=found.dev_embeddings)
    accuracy = (found.dev_probabilities.argmax(1) == found.dev_labels).mean()
    assert criteria.thresholded_confidence(same) == pytest.approx(accuracy, abs=0.01)


def test_importance_weighting_leaves_the_risk_where_nothing_shifts():
    found = evidence(0.5, clips=1000)
    error = (found.dev_probabilities.argmax(1) != found.dev_labels).mean()
    assert criteria.importance_weighted(found) == pytest.approx(-error, abs=0.05)


def test_degenerate_predictions_break_no_criterion():
    base = evidence(1.0, clips=40)
    one = dataclasses.replace(base, probabilities=np.eye(4)[np.zeros(40, dtype=int)])
    flat = dataclasses.replace(base, embeddings=np.zeros((40, 8)), dev_embeddings=np.zeros((40, 8)))
    dead = dataclasses.replace(flat, probabilities=one.probabilities)
    for name, criterion in CRITERIA.items():
        for degenerate in (one, flat, dead):
            assert np.isfinite(criterion(degenerate)), name
    assert criteria.cluster_agreement(dead) == 0 and criteria.silhouette(dead) == -1  # not the perfect agreement of one
