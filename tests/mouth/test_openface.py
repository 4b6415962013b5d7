import numpy as np
import pandas
import pytest

from agser_core.errors import ClipError
from agser_core.mouth.openface import read_openface
from agser_core.mouth.trajectory import trajectory


def table(frames=25, rate=25.0, seed=0):
    points = np.random.default_rng(seed).uniform(100, 300, (2, 68)) + np.arange(frames)[:, None, None]
    frame = np.arange(frames)
    columns = {"frame": frame + 1, "timestamp": frame / rate, "confidence": 0.95, "success": 1}
    columns |= {f"{axis}_{i}": points[:, a, i] for a, axis in enumerate("xy") for i in range(68)}
    return pandas.DataFrame(columns), points


def write(path, frame, padded=False):
    frame.rename(columns=lambda name: " " * padded + name).to_csv(path, index=False)
    return path


@pytest.mark.parametrize("padded", [False, True])
def test_the_points_of_the_mouth_and_eyes_are_taken(tmp_path, padded):
    frame, points = table()
    track = read_openface(write(tmp_path / "a.csv", frame, padded), duration=1.0, video_start=0.02)
    np.testing.assert_allclose(track.points, points[:, :, 48:60].transpose(0, 2, 1), rtol=1e-6)
    np.testing.assert_allclose(track.eyes[:, 0], points[:, :, 36:42].mean(2), rtol=1e-6)
    np.testing.assert_allclose(track.eyes[:, 1], points[:, :, 42:48].mean(2), rtol=1e-6)
    np.testing.assert_allclose(track.times, np.arange(25) / 25 + 0.02)
    assert track.tracked_share == 1 and (track.confidence == np.float32(0.95)).all()


def test_lost_frames_are_nan_and_not_found(tmp_path):
    frame, _ = table()
    frame.loc[5:7, "success"] = 0
    track = read_openface(write(tmp_path / "a.csv", frame))
    assert np.flatnonzero(~track.found).tolist() == [5, 6, 7]
    assert np.isnan(track.points[6]).all() and track.confidence[6] == 0


def test_of_several_faces_the_one_seen_longest(tmp_path):
    first, _ = table(10, seed=1)
    second, points = table(25, seed=2)
    both = pandas.concat([first.assign(face_id=0), second.assign(face_id=1)]).sort_values(["frame", "face_id"])
    track = read_openface(write(tmp_path / "a.csv", both, padded=True))
    np.testing.assert_allclose(track.points, points[:, :, 48:60].transpose(0, 2, 1), rtol=1e-6)


def test_a_genuine_file(real_data):
    track = read_openface(real_data / "openface" / "OpenFace_Test.csv", duration=0.1)
    assert len(track) == 100 and track.tracked_share == 1.0
    assert track.times[-1] == pytest.approx(0.099)
    corners = track.points[:, [0, 6]]
    pupils = np.linalg.norm(track.eyes[:, 1] - track.eyes[:, 0], axis=1)
    assert (0.5 < (corners[:, 1, 0] - corners[:, 0, 0]) / pupils).all()  # 48 is left of 54 in the picture
    assert (track.points[..., 1].mean(axis=1) > track.eyes[..., 1].mean(axis=1)).all()
    assert len(trajectory(track).pieces) == 1
    with pytest.raises(ClipError, match="clip 4.00 s"):
        read_openface(real_data / "openface" / "OpenFace_Test.csv", duration=4.0)


def refuses(path, words, **options):
    with pytest.raises(ClipError, match=words) as caught:
        read_openface(path, **options)
    assert caught.value.error_class == "landmarks" and caught.value.remedy


def test_wrong_files(tmp_path):
    frame, _ = table()
    refuses(tmp_path / "absent.csv", "no file")
    (tmp_path / "empty.csv").touch()
    refuses(tmp_path / "empty.csv", "no readable CSV")
    refuses(write(tmp_path / "b.csv", frame.drop(columns=["x_48", "y_36"])), "lacks 2 columns")
    refuses(write(tmp_path / "c.csv", frame[:0]), "no frame")
    refuses(write(tmp_path / "d.csv", frame[::-1]), "ascending")
    refuses(write(tmp_path / "e.csv", frame), "0.96 s, the clip 0.50 s", duration=0.5)
    refuses(write(tmp_path / "f.csv", frame), "the clip 3.00 s", duration=3.0)
