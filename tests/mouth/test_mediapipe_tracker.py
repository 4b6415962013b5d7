import os

import av
import numpy as np
import pytest

from agser_core.errors import ClipError
from agser_core.mouth.mediapipe_tracker import MediaPipeTracker
from agser_core.mouth.trajectory import normalise


@pytest.fixture(scope="module")
def tracker():
    return MediaPipeTracker()


@pytest.fixture(scope="module")
def face():
    """A picture with a face that ships with scikit-image (public domain): uint8 [360, 360, 3]."""
    skimage_data = pytest.importorskip("skimage.data", reason="needs the extra: pip install 'agser[sample]'")
    return np.ascontiguousarray(np.kron(skimage_data.astronaut()[:180, 130:310], np.ones((2, 2, 1), np.uint8)))


def clip(*pictures):
    return [(index / 25, picture) for index, picture in enumerate(pictures)]


def noise(seed=0):
    return np.random.default_rng(seed).integers(0, 255, (360, 360, 3), np.uint8)


def shifted(picture, right, down):
    return np.roll(picture, (down, right), axis=(0, 1))


def test_points_lie_where_mouth_and_eyes_are(tracker, face):
    track = tracker.track_frames(clip(face, face))
    assert track.found.all() and (track.confidence == 1).all() and track.tracked_share == 1
    np.testing.assert_array_equal(track.times, [0, 0.04])
    lips, (right_eye, left_eye) = track.points[0], track.eyes[0]
    assert right_eye[0] < lips[:, 0].mean() < left_eye[0] and lips[:, 1].min() > max(right_eye[1], left_eye[1])
    assert lips[:, 0].argmin() == 0 and lips[:, 0].argmax() == 6  # 48 and 54 are the corners
    assert lips[:, 1].argmax() in (8, 9, 10)  # 57 is the lower middle
    assert (np.diff(lips[:7, 0]) > 0).all() and (np.diff(lips[6:, 0]) < 0).all()  # once round the mouth


def test_moving_and_shrinking_the_picture_leaves_the_mouth_as_it_is(tracker, face):
    shapes = []
    for picture in (face, shifted(face, 12, -8), face[::2, ::2].copy()):
        track = tracker.track_frames(clip(picture))
        shapes.append(normalise(track.points, track.eyes)[0])
    assert np.abs(shapes[1] - shapes[0]).mean() < 0.02
    assert np.abs(shapes[2] - shapes[0]).mean() < 0.04


def test_no_clip_feels_the_one_before(tracker, face):
    other = clip(shifted(face, -30, 10), shifted(face, -26, 8))
    alone = MediaPipeTracker().track_frames(other)
    after_face = tracker.track_frames(clip(face, face)) and tracker.track_frames(other)
    after_noise = tracker.track_frames(clip(noise())) and tracker.track_frames(other)
    for track in (after_face, after_noise):
        np.testing.assert_array_equal(track.points, alone.points)
        np.testing.assert_array_equal(track.eyes, alone.eyes)


def test_frames_without_a_face_are_nan(tracker, face):
    track = tracker.track_frames(clip(face, noise(), noise(1), face))
    assert track.found.tolist() == [True, False, False, True]
    assert track.confidence.tolist() == [1, 0, 0, 1]
    assert np.isnan(track.points[1]).all() and np.isnan(track.eyes[2]).all()


def test_no_frame_gives_an_empty_track(tracker):
    track = tracker.track_frames([])
    assert len(track) == 0 and track.tracked_share == 0 and track.points.shape == (0, 12, 2)


def test_a_film_without_a_face_is_refused(tracker, tmp_path):
    path = tmp_path / "noise.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=25)
        stream.width = stream.height = 360
        for seed in range(5):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(noise(seed), format="rgb24")))
        container.mux(stream.encode())
    with pytest.raises(ClipError, match="no face in any of the 5 frames of noise.mp4") as caught:
        tracker.track(path)
    assert caught.value.error_class == "face" and "OpenFace" in caught.value.remedy


def test_native_code_stays_silent(face, capfd):
    MediaPipeTracker().track_frames(clip(face, face))
    os.write(2, b"heard")
    assert capfd.readouterr().err == "heard"


def tracked_share(tracker, paths):
    tracks = [tracker.track(path) for path in paths]
    return sum(len(track) for track in tracks), np.concatenate([track.found for track in tracks]).mean()


def test_real_faces_are_held(tracker, real_data):
    frames, share = tracked_share(tracker, sorted((real_data / "ravdess" / "video" / "Actor_05").glob("*.mp4")))
    assert frames == 1330 and share >= 0.99


@pytest.mark.slow
def test_small_real_faces_are_held(tracker, real_data):
    frames, share = tracked_share(tracker, sorted((real_data / "grid_s1" / "video").glob("*.mpg")))
    assert frames == 4500 and share >= 0.99
