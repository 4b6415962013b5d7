import numpy as np
import pyarrow as pa
import pytest

from agser_core.corpora.sample.truth import (
    LIPS_SCHEMA,
    PHONES_SCHEMA,
    Truth,
    boundary_errors,
    gesture_agreement,
    opening_correlations,
    planted_segments,
    read_truth,
)
from agser_core.errors import AgserError
from agser_core.phones.interval import Phone


def phones(text, starts):
    return [Phone(label, start, start + 0.1) for label, start in zip(text.split(), starts)]


def test_boundary_errors_of_a_case_by_hand():
    known = phones("K AE T S IY", [0.0, 0.1, 0.2, 0.3, 0.4])
    aligned = phones("K AE D S IY", [0.01, 0.13, 0.9, 0.3, 0.42])  # 10, 30, (D is not T), 0, 20 ms
    errors = boundary_errors([(known, aligned)])
    assert errors.n == 4 and errors.matched == pytest.approx(0.8)
    assert errors.median == pytest.approx(15) and errors.percentile_90 == pytest.approx(27)


def test_boundary_errors_skip_what_only_one_side_has():
    known, aligned = phones("K AE T", [0.0, 0.1, 0.2]), phones("HH K AO R T", [0.9, 0.0, 0.5, 0.6, 0.2])
    assert boundary_errors([(known, aligned)]).n == 2
    assert boundary_errors([(phones("AO", [0.1]), phones("AA", [0.1]))]).matched == 1
    nothing = boundary_errors([(known, [])])
    assert nothing.n == 0 and nothing.matched == 0 and np.isnan(nothing.median)


def truth_of(lips=(), phone_rows=()):
    return Truth(
        phones=pa.Table.from_pylist(list(phone_rows), schema=PHONES_SCHEMA),
        lips=pa.Table.from_pylist(list(lips), schema=LIPS_SCHEMA),
    )


def test_opening_correlation_interpolates_and_leaves_out_gaps():
    lips = [dict(clip_id="a", time=t / 10, opening=t / 100, width=0.0, rounding=0.0) for t in range(11)]
    times = np.array([0.05, 0.25, 0.55, 0.95])
    result = opening_correlations(truth_of(lips), {"a": (times, np.array([1.1, 1.5, np.nan, 2.9]))})
    assert result == {"a": pytest.approx(1.0)}
    assert np.isnan(opening_correlations(truth_of(lips), {"a": (times, np.full(4, np.nan))})["a"])


def test_gesture_agreement_by_hand():
    planted = {"a": [(0.0, 0.1, 0), (0.2, 0.3, 0), (0.5, 0.6, 1)], "b": [(0.0, 0.2, 1)]}
    renamed = {"a": [(0.0, 0.1, 5), (0.21, 0.31, 5), (0.5, 0.6, 2)], "b": [(0.0, 0.2, 2)]}
    perfect = gesture_agreement(planted, renamed)
    assert (perfect.adjusted_rand, perfect.matched, perfect.n) == (1.0, 1.0, 4)
    # Pairs together: planted {01}{23}, found {02}{13}: none in common; expected 2 * 2 / 6; (0 - 2/3) / (2 - 2/3)
    crossed = {"a": [(0.0, 0.1, 5), (0.2, 0.3, 2), (0.5, 0.6, 5)], "b": [(0.0, 0.2, 2)]}
    assert gesture_agreement(planted, crossed).adjusted_rand == pytest.approx(-0.5)


def test_gesture_agreement_wants_half_an_overlap():
    planted = {"a": [(0.0, 0.1, 0), (0.2, 0.3, 1)]}
    found = {"a": [(0.06, 0.16, 3), (0.2, 0.29, 4)], "z": [(0.0, 0.1, 3)]}
    agreement = gesture_agreement(planted, found)
    assert agreement.n == 1 and agreement.matched == 0.5 and np.isnan(agreement.adjusted_rand)


def test_planted_segments_are_those_with_a_gesture():
    row = dict(
        clip_id="a", position=0, phone="AA", stress=1, start=0.1, end=0.2, gesture=3, emotion="anger", speaker="s"
    )
    truth = truth_of(phone_rows=[row, {**row, "position": 1, "gesture": -1}])
    assert planted_segments(truth) == {"a": [(0.1, 0.2, 3)]}


def test_missing_truth_is_named(tmp_path):
    with pytest.raises(AgserError, match="no truth at .*phones.parquet: only generated corpora"):
        read_truth(str(tmp_path))
