"""What scikit-learn asks of an estimator, where it applies to segments of different lengths."""

import pickle

import numpy as np
import pytest
from planted_movements import planted
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import (
    check_clusterer_compute_labels_predict,
    check_dict_unchanged,
    check_estimators_overwrite_params,
    check_estimators_pickle,
    check_fit_idempotent,
    check_get_params_invariance,
    check_no_attributes_set_in_init,
    check_parameters_default_constructible,
    check_set_params,
)

from agser_core.gestures.kmeans import SoftDTWKMeans


@pytest.mark.parametrize(
    "check",
    [
        check_no_attributes_set_in_init,
        check_get_params_invariance,
        check_set_params,
        check_estimators_overwrite_params,
        check_dict_unchanged,
        check_fit_idempotent,
        check_clusterer_compute_labels_predict,
        check_estimators_pickle,
    ],
)
def test_estimator_checks(check):
    """On arrays [N, n]: N series of n frames in one dimension."""
    check("SoftDTWKMeans", SoftDTWKMeans(n_clusters=2, n_init=1, random_state=0))


def test_default_constructible():
    check_parameters_default_constructible("SoftDTWKMeans", SoftDTWKMeans())


def test_ragged_input():
    segments, _ = planted(80)
    model = SoftDTWKMeans(3, random_state=0)
    with pytest.raises(NotFittedError):
        model.predict(segments)
    labels = model.fit_predict(segments)
    assert labels.shape == (80,)
    assert model.transform(segments).shape == (80, 3)
    assert model.fit_transform(segments).tolist() == model.transform(segments).tolist()
    both = model.transform_with_membership(segments)
    assert all(map(np.array_equal, both, (model.transform(segments), model.membership(segments))))
    assert model.score(segments) == pytest.approx(-model.inertia_, rel=1e-9)
    assert model.n_features_in_ == 6
    listed = [segments[i] for i in range(80)]
    assert clone(model).fit_predict(listed).tolist() == labels.tolist()
    assert pickle.loads(pickle.dumps(model)).predict(listed).tolist() == labels.tolist()
    assert make_pipeline(clone(model)).fit_predict(listed).tolist() == labels.tolist()
    with pytest.raises(ValueError, match="the segments have D = 2, the model was fitted with D = 6"):
        model.predict([np.zeros((3, 2))])


def test_init_array_is_checked():
    segments, _ = planted(20)
    with pytest.raises(ValueError, match=r"init has shape \(3, 4, 5\), wanted \(2, T, 6\)"):
        SoftDTWKMeans(2, init=np.zeros((3, 4, 5))).fit(segments)
    with pytest.raises(ValueError, match="init must be"):
        SoftDTWKMeans(2, init="random").fit(segments)
