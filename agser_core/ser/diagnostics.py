"""Guards: figures that tell whether an anchor works, idles or has collapsed the embeddings, and the warnings."""

from __future__ import annotations

import math

from torch import Tensor
from torch.nn import functional


def effective_rank(embeddings: Tensor) -> float:
    """Participation ratio of the centred unit vectors' variances, [n, H] -> [1, min(n, H)]; nan under 2 rows.

    (sum_i l_i)^2 / sum_i l_i^2 with l the eigenvalues of the covariance.
    """
    if len(embeddings) < 2:
        return math.nan
    unit = functional.normalize(embeddings.detach().float(), dim=1)
    unit = unit - unit.mean(0)
    gram = unit.T @ unit if unit.shape[0] > unit.shape[1] else unit @ unit.T
    total = float(gram.trace())
    return total**2 / float((gram**2).sum()) if total > 1e-12 else 1.0


def mean_cosine(embeddings: Tensor) -> float:
    """Mean cosine between two rows (with themselves too), [n, H] -> [0, 1]: 1 = all vectors point the same way."""
    return float((functional.normalize(embeddings.detach().float(), dim=1).mean(0) ** 2).sum())


def gap(source: Tensor, target: Tensor) -> float:
    """Length of the difference of the mean unit vectors of two corpora, in [0, 2]: small = aligned (or collapsed)."""
    means = [functional.normalize(side.detach().float(), dim=1).mean(0) for side in (source, target)]
    return float((means[0] - means[1]).norm())


def describe(source: Tensor, target: Tensor | None) -> dict[str, float]:
    """Figures of the vowel embeddings of one epoch, [n, H] each."""
    figures = {"effective_rank_source": effective_rank(source)}
    if target is not None and len(target) and len(source):
        figures |= {
            "effective_rank_target": effective_rank(target),
            "mean_cosine_target": mean_cosine(target),
            "gap": gap(source, target),
        }
    return figures


def warnings(history: list[dict]) -> list[str]:
    """What a reader of the result must know, from the figures of all epochs."""
    first, last = history[0], history[-1]
    found = []
    if first.get("anchors") == 0:
        found.append(
            "no anchor was usable in the first epoch: batches hold no common keys; the result is that of `none`"
        )
    if first.get("active_share", 1.0) < 0.01:
        found.append(
            f"the hinge was dead from the first epoch (active share {first['active_share']:.3f}): the anchor gave no "
            "gradient and the result is that of `none`; raise anchor.margin"
        )
    elif last.get("active_share", 0.0) > 0.99 and abs(last.get("separation", 1.0)) < 0.05:
        found.append(
            "the keys can't be heard: after the last epoch the own key is no nearer than others "
            f"(separation {last['separation']:.3f})"
        )
    if last.get("mean_cosine_target", 0.0) > 0.95:
        found.append(
            f"the target's embeddings have collapsed: mean cosine {last['mean_cosine_target']:.2f} after the last epoch"
        )
    return found
