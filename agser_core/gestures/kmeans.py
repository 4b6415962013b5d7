"""k-means of mouth movements (or any series of different lengths) under the soft-DTW divergence: the articulatory
gestures."""

from __future__ import annotations

import json

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from agser_core.gestures.initialisation import choose_gamma, median_length, plus_plus
from agser_core.gestures.lloyd import Fit, Shards, lloyd
from agser_core.ragged import Ragged, as_ragged
from agser_core.softdtw.averages import check_weights
from agser_core.softdtw.pairs import Metric, Segments, check_metric, pairwise
from agser_core.softdtw.scaling import check_gamma
from agser_core.softdtw.shard import Shard
from agser_core.softdtw.statistics import total

FORMAT = "agser.gestures.kmeans/1"


class SoftDTWKMeans(TransformerMixin, ClusterMixin, BaseEstimator):
    """k-means under soft-DTW.

    Args:
        n_clusters: K.
        gamma: smoothing, or "median": the median squared distance between frames.
        metric: "divergence" s(x, c) - s(x, x)/2 - s(c, c)/2, or raw "soft_dtw" s(x, c), which favours long centroids.
        length: frames of the centroids, by default the median length of the segments.
        init: "k-means++" or an array [K, T, D].
        n_init: starts of which the best is kept (1 where `init` is an array).
        max_iter: updates at most. tol: stop when the inertia falls by less than this share. passes: centroid updates
            an iteration.
        polish: end with L-BFGS on the centroids.
        threads: threads to use; results are the same for any number.
        random_state: seed.

    Attributes:
        cluster_centers_: float64 [K, T, D]. labels_: int32 [N]. inertia_: weighted sum of the metric to the nearest
            centroid.
        n_iter_: updates of the best start. gamma_: the gamma used. objectives_: the inertia at every assignment of
            the best start.
        temperature_: median divergence of the segments to their centroid, the tau of `membership`.

    Segments are a `Ragged`, a list of arrays [n_i, D], or an array [N, n, D] or [N, n]. float32 input is computed in
    float32.
    """

    def __init__(
        self,
        n_clusters: int = 10,
        *,
        gamma: float | str = "median",
        metric: Metric = "divergence",
        length: int | None = None,
        init: str | np.ndarray = "k-means++",
        n_init: int = 3,
        max_iter: int = 50,
        tol: float = 1e-4,
        passes: int = 1,
        polish: bool = False,
        threads: int = 1,
        random_state=None,
    ) -> None:
        self.n_clusters, self.gamma, self.metric, self.length, self.init = n_clusters, gamma, metric, length, init
        self.n_init, self.max_iter, self.tol, self.passes, self.polish = n_init, max_iter, tol, passes, polish
        self.threads, self.random_state = threads, random_state

    def fit(self, X: Segments, y: None = None, sample_weight: np.ndarray | None = None) -> SoftDTWKMeans:
        """Finds the centroids.

        Raises:
            ValueError: more clusters than segments, NaN or infinity, empty segments, mixed D (the segment is named),
                gamma <= 0.
        """
        check_metric(self.metric)
        segments = as_ragged(X)
        if not 1 <= self.n_clusters <= len(segments):
            raise ValueError(
                f"n_clusters = {self.n_clusters} for {len(segments)} segments: wanted 1 to the number of segments"
            )
        weights = check_weights(sample_weight, len(segments))
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        shard = Shard(segments, weights, threads=self.threads)
        magnitude, histogram = shard.describe()
        gamma = (
            choose_gamma(Shards.of(shard), len(segments), seed) if self.gamma == "median" else check_gamma(self.gamma)
        )
        own_sum = total(
            shard.prepare(
                gamma, self.metric, magnitude, len(histogram) - 1, segments.frames.mean(axis=0, dtype=np.float64)
            )
        )
        length = median_length(histogram) if self.length is None else self.length
        best = min(
            (self._run(shard, start, gamma, own_sum, length, seed) for start in range(self._starts())),
            key=lambda run: run[0].inertia,
        )
        fit, self.labels_, distances = best
        shard.labels, shard.distances = self.labels_, distances
        return self.adopt(fit, gamma, float(np.median(shard.sample_divergences(1, fit.centroids))))

    def _starts(self) -> int:
        return self.n_init if isinstance(self.init, str) else 1

    def _run(
        self, shard: Shard, start: int, gamma: float, own_sum: float, length: int, seed: int
    ) -> tuple[Fit, np.ndarray, np.ndarray]:
        if isinstance(self.init, str):
            if self.init != "k-means++":
                raise ValueError(f'init must be "k-means++" or an array [K, T, D], got {self.init!r}')
            rng = np.random.default_rng([seed, start])
            centroids = plus_plus(
                shard.segments, self.n_clusters, length, gamma, shard.weights, rng, shard.own, self.threads
            )
        else:
            centroids = np.asarray(self.init, np.float64)
            if centroids.ndim != 3 or centroids.shape[::2] != (self.n_clusters, shard.segments.dimension):
                raise ValueError(
                    f"init has shape {centroids.shape}, wanted ({self.n_clusters}, T, {shard.segments.dimension})"
                )
        constant = -0.5 * own_sum if self.metric == "divergence" else 0.0
        fit = lloyd(
            Shards.of(shard),
            centroids,
            gamma=gamma,
            metric=self.metric,
            constant=constant,
            max_iter=self.max_iter,
            tol=self.tol,
            passes=self.passes,
            polish=self.polish,
        )
        return fit, shard.labels.copy(), shard.distances.copy()

    def _divergences(self, segments: Ragged) -> np.ndarray:
        return pairwise(
            segments, self.cluster_centers_.astype(segments.frames.dtype), self.gamma_, threads=self.threads
        )

    def transform(self, X: Segments) -> np.ndarray:
        """float64 [N, K]: the metric of every segment to every centroid."""
        segments = self._check(X)
        centroids = self.cluster_centers_.astype(segments.frames.dtype)
        return pairwise(segments, centroids, self.gamma_, metric=self.metric, threads=self.threads)

    def predict(self, X: Segments) -> np.ndarray:
        """int32 [N]: the nearest centroid (the first of equals)."""
        return self.transform(X).argmin(axis=1).astype(np.int32)

    def fit_predict(self, X: Segments, y: None = None, sample_weight: np.ndarray | None = None) -> np.ndarray:
        """`fit`, then the labels."""
        return self.fit(X, sample_weight=sample_weight).labels_

    def membership(self, X: Segments) -> np.ndarray:
        """float64 [N, K]: softmax over clusters of - divergence / tau, tau the median divergence within clusters;
        rows sum to 1."""
        exponent = -self._divergences(self._check(X)) / self.temperature_
        exponent -= exponent.max(axis=1, keepdims=True)
        share = np.exp(exponent)
        return share / share.sum(axis=1, keepdims=True)

    def score(self, X: Segments, y: None = None, sample_weight: np.ndarray | None = None) -> float:
        """Minus the inertia of these segments."""
        nearest = self.transform(X).min(axis=1)
        return -float(check_weights(sample_weight, len(nearest)) @ nearest)

    def _check(self, X: Segments) -> Ragged:
        check_is_fitted(self, "cluster_centers_")
        segments = as_ragged(X)
        if segments.dimension != self.n_features_in_:
            raise ValueError(
                f"the segments have D = {segments.dimension}, the model was fitted with D = {self.n_features_in_}"
            )
        return segments

    def to_json(self) -> str:
        """The fitted model as JSON text (labels excepted: they belong to a table). Numbers are kept to the last bit."""
        check_is_fitted(self, "cluster_centers_")
        parameters = self.get_params()
        if isinstance(parameters["init"], np.ndarray):
            parameters["init"] = parameters["init"].tolist()
        if not isinstance(parameters["random_state"], int | None):
            raise ValueError("only a model with random_state an integer or None can be saved")
        return json.dumps(
            {
                "format": FORMAT,
                "parameters": parameters,
                "centroids": self.cluster_centers_.tolist(),
                "gamma": self.gamma_,
                "temperature": self.temperature_,
                "inertia": self.inertia_,
                "n_iter": self.n_iter_,
                "objectives": self.objectives_,
            },
            allow_nan=False,
        )

    @classmethod
    def from_json(cls, text: str) -> SoftDTWKMeans:
        """The model that `to_json` wrote; it predicts the same.

        Raises:
            ValueError: the text is not such a model.
        """
        stored = json.loads(text)
        if stored.get("format") != FORMAT:
            raise ValueError(f"not a gesture model: format {stored.get('format')!r}, wanted {FORMAT!r}")
        parameters = stored["parameters"]
        if isinstance(parameters["init"], list):
            parameters["init"] = np.array(parameters["init"])
        fit = Fit(np.array(stored["centroids"]), stored["inertia"], stored["objectives"], stored["n_iter"])
        return cls(**parameters).adopt(fit, stored["gamma"], stored["temperature"])

    def adopt(self, fit: Fit, gamma: float, temperature: float) -> SoftDTWKMeans:
        """Makes this the fitted model of a fit that may have run elsewhere (`sharded.py`); labels stay there.

        temperature: median divergence of the segments to their centroid.
        """
        self.cluster_centers_, self.inertia_, self.n_iter_, self.objectives_ = (
            fit.centroids,
            fit.inertia,
            fit.n_iter,
            fit.objectives,
        )
        self.gamma_, self.temperature_ = gamma, max(temperature, 1e-12 * gamma)
        self.n_features_in_ = fit.centroids.shape[2]
        return self
