import numpy as np
import pytest

from agser_core.mouth.track import MouthTrack
from agser_core.mouth.trajectory import trajectory


def moving_mouth(frames=60, rate=25.0, seed=0):
    """A face with fixed eyes and 12 lip points that move smoothly, in pixels."""
    rng = np.random.default_rng(seed)
    times = np.arange(frames) / rate
    angle = np.linspace(np.pi, 3 * np.pi, 12, endpoint=False)
    shape = np.stack([np.cos(angle), 0.6 * np.sin(angle)], 1) * 30
    phase, speed = rng.uniform(0, 6, (2, 12, 2))
    motion = 6 * np.sin(times[:, None, None] * speed + phase)
    points = shape + [320, 300] + motion
    eyes = np.broadcast_to(np.array([[280.0, 200.0], [360.0, 200.0]]), (frames, 2, 2))
    return track(times, points, eyes)


def track(times, points, eyes, found=None, confidence=None):
    found = np.ones(len(times), bool) if found is None else found
    confidence = found.astype(np.float32) if confidence is None else confidence
    return MouthTrack(times, points.astype(np.float32), eyes.astype(np.float32), confidence, found)


def lose(mouth, frames):
    found = mouth.found.copy()
    found[list(frames)] = False
    points, eyes = mouth.points.copy(), mouth.eyes.copy()
    points[~found], eyes[~found] = np.nan, np.nan
    return track(mouth.times, points, eyes, found)


def whole(result):
    assert len(result.pieces) == 1
    return result.pieces[0]


@pytest.mark.parametrize("origin", ["mouth", "eyes"])
@pytest.mark.parametrize("seed", range(5))
def test_place_size_and_roll_of_the_head_do_not_matter(origin, seed):
    """Each frame is turned, scaled and shifted by another random amount."""
    rng = np.random.default_rng(seed)
    mouth = moving_mouth(seed=seed)
    angle, scale = rng.uniform(-0.6, 0.6, 60), rng.uniform(0.5, 2, 60)
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]).transpose(2, 0, 1)
    place = rng.uniform(-200, 200, (60, 1, 2))

    def moved(places):
        return np.einsum("fij,fpj->fpi", turn, places.astype(float)) * scale[:, None, None] + place

    other = track(mouth.times, moved(mouth.points), moved(mouth.eyes))
    np.testing.assert_allclose(
        whole(trajectory(other, origin=origin)), whole(trajectory(mouth, origin=origin)), atol=1e-4
    )


def test_the_unit_is_the_inter_pupil_distance_and_y_points_down():
    mouth = moving_mouth()
    first = whole(trajectory(mouth, origin="eyes"))[0].reshape(12, 2)
    np.testing.assert_allclose(first, (mouth.points[0] - [320, 200]) / 80, atol=1e-5)
    assert (first[:, 1] > 0).all()  # the mouth lies below the eyes


def test_the_origin_is_the_mouths_centroid_over_the_clip():
    samples = moving_mouth()
    result = whole(trajectory(samples)).reshape(-1, 12, 2)
    np.testing.assert_allclose(result[::4].mean(axis=(0, 1)), 0, atol=1e-4)  # every fourth sample is a frame
    assert np.abs(result.mean(axis=1)).max() > 1e-3  # over the clip, not frame by frame


def test_samples_at_frame_times_are_the_frames_and_between_them_the_curve():
    times = np.arange(50) / 25
    points = np.zeros((50, 12, 2))
    points[:, :, 1] = (100 + 10 * np.sin(2 * np.pi * 3 * times))[:, None]  # 3 Hz, about a syllable
    eyes = np.broadcast_to(np.array([[-50.0, 0.0], [50.0, 0.0]]), (50, 2, 2))
    result = trajectory(track(times, points, eyes), origin="eyes")
    assert result.starts == [0] and len(result.pieces[0]) == 197
    wanted = 1 + 0.1 * np.sin(2 * np.pi * 3 * np.arange(197) / 100)
    assert np.abs(result.pieces[0][:, 1] - wanted)[::4].max() < 1e-5
    assert np.abs(result.pieces[0][:, 1] - wanted)[8:-8].max() < 0.002


@pytest.mark.parametrize("missing", [1, 2, 3])
def test_short_gaps_are_bridged(missing):
    mouth = moving_mouth()
    result = whole(trajectory(lose(mouth, range(20, 20 + missing))))
    assert len(result) == 237
    difference = np.abs(result - whole(trajectory(mouth)))
    assert difference.max() < 0.02 and np.isfinite(result).all()


def test_longer_gaps_end_a_piece():
    result = trajectory(lose(moving_mouth(), range(20, 24)))
    assert result.starts == [0, 96]  # frames 0..19 and 24..59, of 40 ms
    assert [len(piece) for piece in result.pieces] == [77, 141]
    assert result.cut(0.70, 0.77) is not None
    assert result.cut(0.70, 0.78) is None
    assert result.cut(0.95, 1.00) is None
    assert len(result.cut(0.96, 1.00)) == 4


def test_doubtful_frames_are_dropped_as_if_lost():
    mouth = moving_mouth()
    confidence = np.ones(60, np.float32)
    confidence[20:30], confidence[40:50] = 0.79, 0.8
    doubtful = track(mouth.times, mouth.points, mouth.eyes, confidence=confidence)
    assert trajectory(doubtful).starts == [0, 120]
    assert trajectory(doubtful, least_confidence=0.7).starts == [0]
    assert trajectory(doubtful, longest_gap=10).starts == [0]


def test_gaps_are_seen_where_rows_are_absent_and_at_any_frame_rate():
    for rate in (15.0, 29.97, 59.94):
        mouth = moving_mouth(rate=rate)
        for missing, pieces in ((3, 1), (4, 2)):
            kept = np.r_[0:20, 20 + missing : 60]
            part = track(mouth.times[kept], mouth.points[kept], mouth.eyes[kept])
            assert len(trajectory(part).pieces) == pieces


def test_cuts_lie_on_the_clips_clock():
    mouth = moving_mouth()
    late = track(mouth.times + 0.033, mouth.points, mouth.eyes)
    result = trajectory(late)
    assert result.starts == [4]  # 0.04 s is the first multiple of 10 ms after 0.033 s
    assert result.cut(0.03, 0.10) is None
    piece = result.cut(0.04, 0.10)
    assert piece.shape == (6, 24) and piece.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate([piece, result.cut(0.10, 0.30)]), result.cut(0.04, 0.30))
    assert len(result.cut(0.28, 0.35)) == 7  # 0.35 * 100 is a little less than 35 in floating point
    assert result.cut(0.101, 0.109) is None  # no sample inside
    assert result.cut(0.2, 0.2) is None


def test_nothing_usable_gives_no_piece():
    mouth = moving_mouth()
    assert trajectory(lose(mouth, range(60))).pieces == []
    assert trajectory(lose(mouth, range(1, 60))).pieces == []
    assert trajectory(lose(mouth, range(60))).cut(0, 1) is None
    same_eyes = track(mouth.times, mouth.points, np.full((60, 2, 2), 5.0))
    assert trajectory(same_eyes).pieces == []


def test_an_unknown_origin_is_refused():
    with pytest.raises(ValueError, match="nose"):
        trajectory(moving_mouth(), origin="nose")
