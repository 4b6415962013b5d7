"""Criteria of model selection: how good is a trained network on the target, told without a target label?

Each criterion is a pure function of `Evidence`: what the network says of the labelled source dev clips and of
unlabelled target training clips. Greater is better for all of them. Letters in the shapes: D source dev clips,
C target clips, n classes, H width of the clip embeddings.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.cluster import KMeans
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import adjusted_mutual_info_score, silhouette_score

from agser_core.ser import metrics

_TINY = 1e-12


@dataclass(frozen=True)
class Evidence:
    """What one network says of clips that it was not fitted to with labels."""

    dev_probabilities: np.ndarray  # float [D, n], labelled source dev
    dev_labels: np.ndarray  # int [D]
    dev_embeddings: np.ndarray  # float [D, H]
    probabilities: np.ndarray  # float [C, n], target training clips
    embeddings: np.ndarray  # float [C, H]

    @property
    def classes(self) -> int:
        return self.probabilities.shape[1]


def dev_uar(evidence: Evidence) -> float:
    """Unweighted average recall on source dev, in [0, 1]."""
    predicted = evidence.dev_probabilities.argmax(1)
    return float(metrics.uar(metrics.confusion(evidence.dev_labels, predicted, evidence.classes)))


def dev_loss(evidence: Evidence) -> float:
    """Mean log-likelihood of the source dev labels, at most 0: the negative of the loss."""
    likelihood = evidence.dev_probabilities[np.arange(len(evidence.dev_labels)), evidence.dev_labels]
    return float(np.log(np.maximum(likelihood, _TINY)).mean())


def entropy(evidence: Evidence) -> float:
    """Negative mean entropy of the target predictions, in [-log n, 0] (Morerio, Cavazza, Murino, ICLR 2018).

    Sure predictions are better; a network that says one class of everything, surely, is taken for the best.
    """
    return -float(_entropy(evidence.probabilities).mean())


def infomax(evidence: Evidence) -> float:
    """Mutual information of clip and prediction, H(mean p) - mean H(p), in [0, log n]: sure and diverse.

    Shi and Sha, ICML 2012; as a criterion: Musgrave, Belongie, Lim, "Benchmarking validation methods", 2022.
    """
    mean = evidence.probabilities.mean(0, keepdims=True)
    return float(_entropy(mean)[0] - _entropy(evidence.probabilities).mean())


def soft_neighbourhood_density(evidence: Evidence, temperature: float = 0.05) -> float:
    """Mean entropy of each target clip's similarities to the others, in [0, log(C - 1)] (Saito et al., ICCV 2021).

    Similarities are cosines of the class probabilities, over 0.05, through a softmax: greater where neighbourhoods of
    the target's clips are dense.
    """
    return _density(evidence.probabilities, temperature)


def soft_neighbourhood_density_of_embeddings(evidence: Evidence, temperature: float = 0.05) -> float:
    """The same over the clip embeddings."""
    return _density(evidence.embeddings, temperature)


def class_correlation(evidence: Evidence) -> float:
    """Cosine of the class correlation P^T P with the identity, in [0, 1] (Tu et al., CVPR 2023): sure and diverse."""
    product = evidence.probabilities.T @ evidence.probabilities
    return float(np.trace(product) / (np.linalg.norm(product) * np.sqrt(evidence.classes)))


def nuclear_norm(evidence: Evidence) -> float:
    """Nuclear norm of the target predictions over its greatest value, in [0, 1] (Cui et al., CVPR 2020: BNM)."""
    shape = evidence.probabilities.shape
    return float(np.linalg.norm(evidence.probabilities, "nuc") / np.sqrt(min(shape) * shape[0]))


def thresholded_confidence(evidence: Evidence) -> float:
    """Estimated target accuracy, in [0, 1]: ATC with negative entropy (Garg et al., ICLR 2022).

    The share of target clips surer than a threshold, which is set so that the share of surer source dev clips is the
    accuracy there.
    """
    accuracy = (evidence.dev_probabilities.argmax(1) == evidence.dev_labels).mean()
    threshold = np.quantile(-_entropy(evidence.dev_probabilities), 1 - accuracy)
    return float((-_entropy(evidence.probabilities) > threshold).mean())


def importance_weighted(evidence: Evidence) -> float:
    """Deep embedded validation: negative source dev risk, weighted by how target-like a clip is, with control variate.

    You et al., ICML 2019. The density ratio is that of a logistic domain classifier on standardised clip embeddings;
    the loss is the error rate. At most about 0.
    """
    both = np.concatenate([evidence.dev_embeddings, evidence.embeddings])
    both = (both - both.mean(0)) / (both.std(0) + 1e-6)
    domain = np.repeat([0, 1], [len(evidence.dev_embeddings), len(evidence.embeddings)])
    classifier = LogisticRegression(C=0.01, max_iter=200).fit(both, domain)
    target = np.clip(classifier.predict_proba(both[domain == 0])[:, 1], 1e-3, 1 - 1e-3)
    weights = target / (1 - target) * (domain == 0).sum() / (domain == 1).sum()
    risk = (evidence.dev_probabilities.argmax(1) != evidence.dev_labels).astype(float)
    spread = weights.var()
    control = -np.cov(weights * risk, weights)[0, 1] / spread if spread > _TINY else 0.0
    return -float((weights * risk).mean() + control * (weights.mean() - 1))


def reverse_validation(evidence: Evidence) -> float:
    """UAR on source dev of a classifier taught by the target's pseudo-labels, in [0, 1].

    Zhong et al., ECML 2010; here a regularised linear discriminant on the clip embeddings. 1 / n where fewer than two
    classes are predicted.
    """
    pseudo = evidence.probabilities.argmax(1)
    if len(np.unique(pseudo)) < 2:
        return 1 / evidence.classes
    judge = LinearDiscriminantAnalysis(
        solver="lsqr", shrinkage=0.1, priors=np.full(len(np.unique(pseudo)), 1 / len(np.unique(pseudo)))
    ).fit(evidence.embeddings, pseudo)
    predicted = judge.predict(evidence.dev_embeddings)
    return float(metrics.uar(metrics.confusion(evidence.dev_labels, predicted, evidence.classes)))


def cluster_agreement(evidence: Evidence) -> float:
    """Adjusted mutual information of predictions and k-means clusters of the target embeddings, at most 1.

    ClassAMI of Musgrave, Belongie, Lim, "Three new validators", 2022. Starts of k-means are fixed. 0 where one class is
    predicted: a network that makes all clips alike has one cluster too, and two partitions of one part each agree.
    """
    if len(np.unique(evidence.probabilities.argmax(1))) < 2:
        return 0.0
    clusters = KMeans(evidence.classes, n_init=3, random_state=0).fit_predict(_unit(evidence.embeddings))
    return float(adjusted_mutual_info_score(evidence.probabilities.argmax(1), clusters))


def silhouette(evidence: Evidence) -> float:
    """Silhouette of the predicted classes in the target embeddings, in [-1, 1]; -1 where one class is predicted."""
    predicted = evidence.probabilities.argmax(1)
    if len(np.unique(predicted)) < 2:
        return -1.0
    return float(silhouette_score(_unit(evidence.embeddings), predicted))


def alignment(evidence: Evidence) -> float:
    """Negative squared distance of the class means of source dev and target, over the scatter within classes.

    Classes of the target are the predicted probabilities, so that labels and alignment are judged together; at most 0.
    """
    source, target = _unit(evidence.dev_embeddings), _unit(evidence.embeddings)
    hot = np.eye(evidence.classes)[evidence.dev_labels]
    own = hot.T @ source / np.maximum(hot.sum(0)[:, None], 1)
    other = evidence.probabilities.T @ target / np.maximum(evidence.probabilities.sum(0)[:, None], _TINY)
    within = ((source - own[evidence.dev_labels]) ** 2).sum(1).mean()
    return -float(((own - other) ** 2).sum(1).mean() / max(within, _TINY))


Criterion = Callable[[Evidence], float]

CRITERIA: dict[str, Criterion] = {
    "dev_uar": dev_uar,
    "dev_loss": dev_loss,
    "entropy": entropy,
    "infomax": infomax,
    "density": soft_neighbourhood_density,
    "density_embeddings": soft_neighbourhood_density_of_embeddings,
    "class_correlation": class_correlation,
    "nuclear_norm": nuclear_norm,
    "thresholded_confidence": thresholded_confidence,
    "importance_weighted": importance_weighted,
    "reverse_validation": reverse_validation,
    "cluster_agreement": cluster_agreement,
    "silhouette": silhouette,
    "alignment": alignment,
}


def _entropy(probabilities: np.ndarray) -> np.ndarray:
    return -(probabilities * np.log(np.maximum(probabilities, _TINY))).sum(1)


def _unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), _TINY)


def _density(vectors: np.ndarray, temperature: float) -> float:
    unit = _unit(vectors.astype(np.float64))
    scores = unit @ unit.T / temperature
    np.fill_diagonal(scores, -np.inf)
    scores -= scores.max(1, keepdims=True)
    shares = np.exp(scores)
    shares /= shares.sum(1, keepdims=True)
    return float(-(shares * np.log(np.maximum(shares, _TINY))).sum(1).mean())
