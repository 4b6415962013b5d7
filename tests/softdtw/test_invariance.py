"""Results do not depend, to the last bit, on company, order, threads, or how a table is cut."""

import numpy as np
import pytest

from agser_core.ragged import Ragged
from agser_core.softdtw import pairs, pairwise, soft_dtw_gradient
from agser_core.softdtw.statistics import Statistics, join_subtrees, subtree_sums, total


@pytest.fixture(params=[np.float32, np.float64])
def segments(request):
    rng = np.random.default_rng(0)
    return Ragged.from_list([rng.normal(0, 0.3, (n, 24)).astype(request.param) for n in rng.integers(1, 45, 700)])


def test_threads_and_task_sizes(segments, monkeypatch):
    references = [segments[i] for i in (3, 50, 51, 200, 201)]
    expected = pairwise(segments, references, 0.5)
    assert pairwise(segments, references, 0.5, threads=2).tolist() == expected.tolist()
    monkeypatch.setattr(pairs, "TASK", 37)
    assert pairwise(segments, references, 0.5, threads=3).tolist() == expected.tolist()
    monkeypatch.setattr(pairs, "NEAR", 101)
    assert pairwise(segments, references, 0.5).tolist() == expected.tolist()


def test_company_and_order(segments):
    references = [segments[i] for i in (3, 50, 200)]
    expected = pairwise(segments, references, 0.5, metric="soft_dtw")
    order = np.random.default_rng(1).permutation(len(segments))
    assert pairwise(segments.take(order), references, 0.5, metric="soft_dtw").tolist() == expected[order].tolist()
    for i in (0, 17, 699):
        assert pairwise([segments[i]], references, 0.5, metric="soft_dtw").tolist() == expected[[i]].tolist()


def test_gradient_of_many_blocks_with_threads(segments, monkeypatch):
    from agser_core.softdtw import averages

    monkeypatch.setattr(averages, "BLOCK", 100)
    value, gradient = soft_dtw_gradient(segments, segments[5], 0.5)
    threaded = soft_dtw_gradient(segments, segments[5], 0.5, threads=3)
    assert (threaded[0], threaded[1].tolist()) == (value, gradient.tolist())


@pytest.mark.parametrize("blocks", [1, 2, 3, 7, 8, 13])
def test_fixed_tree_of_sums(blocks):
    rng = np.random.default_rng(blocks)
    # numbers whose float sum depends on the order
    leaves = [rng.normal(0, 10.0 ** rng.integers(-8, 9)) for _ in range(blocks)]
    expected = total(subtree_sums(dict(enumerate(leaves))))
    for _ in range(20):
        cuts = np.unique(np.concatenate([[0, blocks], rng.integers(0, blocks + 1, 3)]))
        nodes = {}
        for a, b in zip(cuts, cuts[1:], strict=False):
            nodes |= subtree_sums({i: leaves[i] for i in range(a, b)})
        assert total(nodes) == expected
        assert join_subtrees(join_subtrees(nodes)) == join_subtrees(nodes)
    assert expected == pytest.approx(np.sum(leaves))


def test_statistics_add():
    one = Statistics(np.ones((2, 3, 4)), np.ones((2, 3)), np.ones(2), np.ones(2, np.int64), np.ones(2))
    both = one + one
    assert all((getattr(both, name) == 2).all() for name in ("sums", "visits", "weight", "count", "value"))
