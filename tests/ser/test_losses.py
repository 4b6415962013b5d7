"""Every loss against a plain loop over segments, its limits, and its gradient against finite differences."""

import doctest
import math

import numpy as np
import pytest
import torch

from agser_core.ser.anchors import keyed, losses
from agser_core.ser.anchors.losses import Segments

KEYS = 4


def segments(seed: int, count: int, width: int = 5, hard: bool = False) -> Segments:
    generator = np.random.default_rng(seed)
    keys = np.concatenate([np.arange(KEYS), generator.integers(KEYS, size=count - KEYS)])
    membership = np.eye(KEYS)[keys] if hard else generator.dirichlet(np.ones(KEYS), size=count)
    return Segments(
        torch.from_numpy(generator.normal(size=(count, width))), torch.from_numpy(keys), torch.from_numpy(membership)
    )


def unit(vector) -> np.ndarray:
    return np.asarray(vector) / np.linalg.norm(vector)


def distance(first, second) -> float:
    return 1 - unit(first) @ unit(second)


def plain_triplet(
    anchors: Segments, source: Segments, margin: float, soft: bool, reliability=None
) -> tuple[float, float]:
    """The formula of the docstring, segment by segment."""
    terms, active = [], []
    for vector, key, membership in zip(anchors.embeddings, anchors.keys.tolist(), anchors.membership, strict=True):
        positive, negative = [], []
        for other, other_key, other_membership in zip(
            source.embeddings, source.keys.tolist(), source.membership, strict=True
        ):
            share = float(other_membership[key]) if soft else 1.0
            if other_key == key:
                positive.append((share, distance(vector, other)))
            else:
                negative.append((1 - share if soft else 1.0, distance(vector, other)))
        near = sum(w * d for w, d in positive) / sum(w for w, _ in positive)
        far = sum(w * d for w, d in negative) / sum(w for w, _ in negative)
        weight = float(membership[key]) if soft else 1.0
        weight = weight if reliability is None else reliability[key]
        terms.append(weight * max(0.0, near - far + margin))
        active.append(near - far + margin > 0)
    return np.mean(terms), np.mean(active)


@pytest.mark.parametrize("soft", [False, True])
@pytest.mark.parametrize("margin", [0.05, 1.0])
def test_triplet_agrees_with_the_plain_loop(soft, margin):
    anchors, source = segments(0, 9), segments(1, 14)
    found = losses.triplet(anchors, source, margin, soft)
    loss, active = plain_triplet(anchors, source, margin, soft)
    assert float(found.loss) == pytest.approx(loss, abs=1e-12)
    assert found.active_share == pytest.approx(active)


def test_triplet_with_the_reliability_of_keys():
    anchors, source, reliability = segments(0, 9), segments(1, 14), [0.1, 0.5, 0.9, 0.0]
    found = losses.triplet(anchors, source, 1.0, False, torch.tensor(reliability, dtype=torch.float64))
    assert float(found.loss) == pytest.approx(plain_triplet(anchors, source, 1.0, False, reliability)[0], abs=1e-12)


def test_certain_memberships_are_uniform_weights():
    anchors, source = segments(0, 9, hard=True), segments(1, 14, hard=True)
    assert float(losses.triplet(anchors, source, 1.0, True).loss) == pytest.approx(
        float(losses.triplet(anchors, source, 1.0, False).loss), abs=1e-12
    )


def test_attention_agrees_with_the_plain_loop():
    anchors, source, margin, tau = segments(2, 8), segments(3, 12), 0.3, 0.1
    terms = []
    for vector, key in zip(anchors.embeddings, anchors.keys.tolist(), strict=True):
        sums = {}
        for same in (True, False):
            chosen = [
                other for other, k in zip(source.embeddings, source.keys.tolist(), strict=True) if (k == key) == same
            ]
            weights = [math.exp((1 - distance(vector, other)) / tau) for other in chosen]
            sums[same] = sum(w * distance(vector, o) for w, o in zip(weights, chosen, strict=True)) / sum(weights)
        terms.append(max(0.0, sums[True] - sums[False] + margin))
    assert float(losses.attention(anchors, source, margin, tau).loss) == pytest.approx(np.mean(terms), abs=1e-12)


def test_attention_at_high_temperature_is_the_uniform_triplet():
    anchors, source = segments(2, 8), segments(3, 12)
    assert float(losses.attention(anchors, source, 1.0, 1e6).loss) == pytest.approx(
        float(losses.triplet(anchors, source, 1.0, soft=False).loss), abs=1e-5
    )


@pytest.mark.parametrize("soft", [False, True])
def test_prototype_agrees_with_the_plain_loop(soft):
    anchors, source, tau = segments(4, 8), segments(5, 12), 0.2
    centres = [
        unit(sum(unit(o) for o, k in zip(source.embeddings, source.keys.tolist(), strict=True) if k == key))
        for key in range(KEYS)
    ]
    terms = []
    for vector, key, membership in zip(anchors.embeddings, anchors.keys.tolist(), anchors.membership, strict=True):
        scores = np.array([unit(vector) @ centre / tau for centre in centres])
        terms.append((float(membership[key]) if soft else 1.0) * (np.log(np.exp(scores).sum()) - scores[key]))
    assert float(losses.prototype(anchors, source, tau, soft)) == pytest.approx(np.mean(terms), abs=1e-12)


def test_a_key_without_source_segments_is_no_candidate_and_its_anchors_are_not_usable():
    anchors, source = segments(4, 8), segments(5, 12)
    kept = source.keys != 2
    source = Segments(source.embeddings[kept], source.keys[kept], source.membership[kept])
    assert torch.equal(losses.usable(anchors, source), anchors.keys != 2)
    anchors = Segments(*(part[anchors.keys != 2] for part in (anchors.embeddings, anchors.keys, anchors.membership)))
    assert torch.isfinite(losses.prototype(anchors, source, 0.2))
    assert torch.isfinite(losses.triplet(anchors, source, 1.0).loss)


def test_no_usable_anchor_gives_no_loss_and_no_error():
    none = Segments(torch.zeros(0, 5, requires_grad=True), torch.zeros(0, dtype=torch.long), torch.zeros(0, KEYS))
    source = segments(5, 12)
    for value in (
        losses.triplet(none, source, 1.0).loss,
        losses.attention(none, source, 1.0, 0.1),
        losses.prototype(none, source, 0.2),
    ):
        value = value.loss if isinstance(value, losses.Hinge) else value
        assert float(value.detach()) == 0
        value.backward()


def test_keys_that_say_nothing_leave_the_triplet_at_its_margin():
    generator = torch.Generator().manual_seed(0)
    parts = [
        Segments(
            torch.randn(4000, 16, generator=generator),
            torch.arange(4000) % KEYS,
            torch.eye(KEYS)[torch.arange(4000) % KEYS],
        )
        for _ in range(2)
    ]
    found = losses.triplet(*parts, 0.2)
    assert (
        float(found.loss) == pytest.approx(0.2, abs=0.01) and abs(found.separation) < 0.01 and found.active_share > 0.99
    )


@pytest.mark.parametrize(
    "loss",
    [
        lambda a, s: losses.triplet(a, s, 1.0, soft=True).loss,
        lambda a, s: losses.triplet(a, s, 1.0, soft=False).loss,
        lambda a, s: losses.prototype(a, s, 0.2, soft=True),
    ],
)
def test_gradients_of_keyed_losses(loss):
    anchors, source = segments(6, 6, 3), segments(7, 8, 3)

    def of_embeddings(first, second):
        return loss(Segments(first, anchors.keys, anchors.membership), Segments(second, source.keys, source.membership))

    inputs = (anchors.embeddings.requires_grad_(), source.embeddings.requires_grad_())
    assert torch.autograd.gradcheck(of_embeddings, inputs)


def test_gradient_of_attention_holds_its_weights_fixed():
    anchors, source = segments(6, 6, 3), segments(7, 8, 3)
    cosine = (
        torch.nn.functional.normalize(anchors.embeddings) @ torch.nn.functional.normalize(source.embeddings).T
    ) / 0.1
    same = anchors.keys[:, None] == source.keys[None]
    near, other = (cosine.masked_fill(~mask, -torch.inf).softmax(1) for mask in (same, ~same))

    def fixed(first, second):
        inner = torch.nn.functional.normalize(first) @ torch.nn.functional.normalize(second).T
        return (((other - near) * inner).sum(1) + 1.0).relu().mean()

    first, second = anchors.embeddings.requires_grad_(), source.embeddings.requires_grad_()
    expected = torch.autograd.grad(fixed(first, second), (first, second))
    found = torch.autograd.grad(losses.attention(anchors, source, 1.0, 0.1).loss, (first, second))
    assert all(torch.allclose(f, e) for f, e in zip(found, expected, strict=True))


@pytest.mark.parametrize("loss", [losses.coral, losses.mean_matching])
def test_gradients_of_keyless_losses(loss):
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(count, 3, generator=generator, dtype=torch.float64, requires_grad=True) for count in (6, 5)]
    assert torch.autograd.gradcheck(loss, inputs)


def test_coral_against_numpy():
    first, second = (np.random.default_rng(seed).normal(size=(7 + seed, 4)) for seed in (0, 1))
    expected = ((np.cov(first.T) - np.cov(second.T)) ** 2).sum() / (4 * 4**2)
    assert float(losses.coral(torch.from_numpy(first), torch.from_numpy(second))) == pytest.approx(expected)


def test_mean_matching_of_opposite_corpora_is_4():
    vectors = torch.tensor([[2.0, 0.0], [1.0, 0.0]])
    assert float(losses.mean_matching(vectors, -vectors)) == pytest.approx(4)


def test_examples_of_the_docstrings():
    assert doctest.testmod(keyed).failed == 0
