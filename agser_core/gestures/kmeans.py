"""k-means of mouth movements (or any series of different lengths) under the soft-DTW divergence: the articulatory
gestures."""

from __future__ import annotations

import functools
import json

import numpy as np
from sklearn.base import BaseEstimator, ClusterMixin, TransformerMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from agser_core.gestures.fit_log import FitLog
from agser_core.gestures.initialisation import Prepared, parallel_start, plus_plus, prepare
from agser_core.gestures.lloyd import Fit, Shards, lloyd
from agser_core.ragged import Ragged, as_ragged
from agser_core.softdtw.averages import check_weights
from agser_core.softdtw.pairs import Metric, Segments, check_metric, pairwise
from agser_core.softdtw.shard import Shard

FORMAT = "agser.gestures.kmeans/1"
SAMPLED = 1_000_000  # divergences at most of which the temperature is the median


class SoftDTWKMeans(TransformerMixin, ClusterMixin, BaseEstimator):
    """k-means under soft-DTW.

    Args:
        n_clusters: K.
        gamma: smoothing, or "median": `gamma_share` of the median squared distance between frames.
        gamma_share: the whole median is the spread over all movements, not within one, and where it smooths, movements
            that pass the same places in another order fall together. A share keeps them apart.
        metric: "divergence" s(x, c) - s(x, x)/2 - s(c, c)/2, or raw "soft_dtw" s(x, c), which favours long centroids.
        length: frames of the centroids, by default the median length of the segments.
        init: "k-means++", "k-means||" (for many segments: a few passes instead of one a cluster), or an array
            [K, T, D].
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
        gamma_share: float = 1.0,
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
        self.n_clusters, self.gamma, self.gamma_share, self.metric = n_clusters, gamma, gamma_share, metric
        self.length, self.init = length, init
        self.n_init, self.max_iter, self.tol, self.passes, self.polish = n_init, max_iter, tol, passes, polish
        self.threads, self.random_state = threads, random_state

    def fit(
        self,
        X: Segments | Shards,
        y: None = None,
        sample_weight: np.ndarray | None = None,
        log: FitLog | None = None,
    ) -> SoftDTWKMeans:
        """Finds the centroids.

        Args:
            X: segments, or `Shards` that hold them, near or far. These keep labels and weights ("result" gives the
                labels), and take init="k-means||" or an array. The centroids are the same either way.
            log: what is known of an earlier call with the same arguments that broke off; also told the progress.

        Raises:
            ValueError: more clusters than segments, NaN or infinity, empty segments, mixed D (the segment is named),
                gamma <= 0.
        """
        check_metric(self.metric)
        log = FitLog() if log is None else log
        near = None
        if not isinstance(X, Shards):
            segments = as_ragged(X)
            near = Shard(segments, check_weights(sample_weight, len(segments)), threads=self.threads)
            X = Shards.of(near)
        elif sample_weight is not None:
            raise ValueError("shards hold the weights of their segments: give sample_weight to them")
        seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        if not 1 <= self.n_clusters <= len(X):
            raise ValueError(
                f"n_clusters = {self.n_clusters} for {len(X)} segments: wanted 1 to the number of segments"
            )
        prepared = prepare(X, self.gamma, self.gamma_share, self.metric, seed)
        best = latest = None
        for start in range(self.n_init if isinstance(self.init, str) else 1):
            run = f"{self.n_clusters}/{start}"
            fit = log.finished(run)
            if fit is None:
                resume = log.running(run)
                fit = latest = lloyd(
                    X,
                    self._start(X, near, prepared, seed, start) if resume is None else resume.centroids,
                    gamma=prepared.gamma,
                    metric=self.metric,
                    constant=prepared.constant,
                    max_iter=self.max_iter,
                    tol=self.tol,
                    passes=self.passes,
                    polish=self.polish,
                    resume=resume,
                    report=functools.partial(log.passed, run),
                )
                log.finish(run, fit)
            best = fit if best is None or fit.inertia < best.inertia else best
        if best is not latest:
            X.assign(best.centroids)  # the shards' labels shall be the best start's
        step = -(-prepared.size // SAMPLED)
        divergences = np.concatenate(X.call("sample_divergences", step, best.centroids))
        if near is not None:
            self.labels_ = near.labels
        return self._adopt(best, prepared.gamma, float(np.median(divergences)))

    def _start(self, shards: Shards, near: Shard | None, prepared: Prepared, seed: int, start: int) -> np.ndarray:
        """Centroids [K, T, D] to begin with."""
        length = prepared.length if self.length is None else self.length
        if not isinstance(self.init, str):
            centroids, dimension = np.asarray(self.init, np.float64), shards.take([0]).dimension
            if centroids.ndim != 3 or centroids.shape[::2] != (self.n_clusters, dimension):
                raise ValueError(f"init has shape {centroids.shape}, wanted ({self.n_clusters}, T, {dimension})")
            return centroids
        if self.init == "k-means||":
            own_seed = int(np.random.default_rng([seed, start]).integers(2**31))
            return parallel_start(shards, prepared.size, self.n_clusters, length, prepared.gamma, own_seed)
        if self.init != "k-means++" or near is None:
            known = 'over shards, "k-means||"' if near is None else '"k-means++", "k-means||"'
            raise ValueError(f"init must be {known} or an array [K, T, D], got {self.init!r}")
        rng = np.random.default_rng([seed, start])
        return plus_plus(
            near.segments, self.n_clusters, length, prepared.gamma, near.weights, rng, near.own, self.threads
        )

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
        return self._membership(self._divergences(self._check(X)))

    def transform_with_membership(self, X: Segments) -> tuple[np.ndarray, np.ndarray]:
        """`transform` and `membership`, for the price of one where the metric is the divergence."""
        distances = self.transform(X)
        divergences = distances if self.metric == "divergence" else self._divergences(self._check(X))
        return distances, self._membership(divergences)

    def _membership(self, divergences: np.ndarray) -> np.ndarray:
        exponent = -divergences / self.temperature_
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
        return cls(**parameters)._adopt(fit, stored["gamma"], stored["temperature"])

    def _adopt(self, fit: Fit, gamma: float, temperature: float) -> SoftDTWKMeans:
        self.cluster_centers_, self.inertia_, self.n_iter_, self.objectives_ = (
            fit.centroids,
            fit.inertia,
            fit.n_iter,
            fit.objectives,
        )
        self.gamma_, self.temperature_ = gamma, max(temperature, 1e-12 * gamma)
        self.n_features_in_ = fit.centroids.shape[2]
        return self
