import doctest

import numpy as np
import pytest

from agser_core.ser import sampler


def test_examples_of_the_docstrings():
    assert doctest.testmod(sampler).failed == 0


@pytest.mark.parametrize("size", [4, 7, 32, 33])
@pytest.mark.parametrize("workers", [1, 2, 3, 4])
def test_shares_of_all_workers_are_the_global_batch(size, workers):
    batch = np.arange(size)
    shares = [batch[sampler.worker_share(size, worker, workers)] for worker in range(workers)]
    assert np.array_equal(np.concatenate(shares), batch)
    assert max(map(len, shares)) - min(map(len, shares)) <= 1


@pytest.mark.parametrize("batch_size", [4, 8, 30])
def test_source_batches_are_balanced_and_labelled(batch_size):
    labels = np.repeat([0, 1, 2, 3, -1], [50, 20, 9, 3, 7])
    batches = sampler.source_batches(labels, batch_size, seed=3, epoch=1)
    assert batches.shape == (-(-82 // batch_size), batch_size)
    counts = np.stack([np.bincount(labels[batch], minlength=4) for batch in batches])
    assert (labels[batches] >= 0).all()
    assert np.ptp(counts, axis=1).max() <= 1


def test_a_class_is_gone_through_before_a_clip_comes_again():
    labels = np.repeat([0, 1], [30, 10])
    drawn = sampler.source_batches(labels, 8, seed=0, epoch=0).ravel()
    rare = drawn[labels[drawn] == 1]
    assert len(set(rare[:10])) == 10 and len(set(rare[10:20])) == 10
    assert len(set(drawn[labels[drawn] == 0])) == 20


def test_target_batches_visit_every_clip_before_any_twice():
    drawn = sampler.target_batches(20, steps=5, batch_size=8, seed=0, epoch=0).ravel()
    assert set(drawn[:20]) == set(range(20)) and set(drawn[20:]) == set(range(20))


def test_source_and_target_are_drawn_apart():
    """Corpora of one size and class: were the streams the same, clip i would always meet clip i."""
    labels = np.repeat([0, 1], [20, 1])
    source = sampler.source_batches(labels, 8, seed=0, epoch=0).ravel()
    target = sampler.target_batches(20, steps=3, batch_size=8, seed=0, epoch=0).ravel()
    common = source[labels[source] == 0]
    assert not np.array_equal(common[:10], target[:10])


def test_batches_depend_on_seed_and_epoch_only():
    labels = np.arange(40) % 4
    first = sampler.source_batches(labels, 8, seed=1, epoch=2)
    assert np.array_equal(first, sampler.source_batches(labels, 8, seed=1, epoch=2))
    assert not np.array_equal(first, sampler.source_batches(labels, 8, seed=1, epoch=3))
    assert not np.array_equal(first, sampler.source_batches(labels, 8, seed=2, epoch=2))
    assert (
        len({sampler.dropout_seed(seed, epoch, step) for seed in range(4) for epoch in range(4) for step in range(4)})
        == 64
    )


def test_one_class_is_not_enough():
    with pytest.raises(ValueError, match="at least 2"):
        sampler.source_batches(np.array([2, 2, -1]), 4, seed=0, epoch=0)
