"""OpenFace as landmark source (68 points, 2-D, in pixels): its FeatureExtraction CSV, and the program itself."""

import tempfile
from pathlib import Path

import numpy as np

from agser_core.errors import ClipError
from agser_core.mouth.track import LIP_POINTS, MouthTrack
from agser_core.programs import find_program, run_program

_NEEDED = ["timestamp", "confidence", "success", *(f"{axis}_{i}" for axis in "xy" for i in range(36, 60))]
_LEAST_COVER = 0.5  # share of the clip that the frames must span


def read_openface(path: str | Path, duration: float | None = None, video_start: float = 0.0) -> MouthTrack:
    """Read a CSV of OpenFace; its `confidence` and `success` become the track's `confidence` and `found`.

    Headers may be padded with blanks. With a `face_id` column, the face that was tracked in the most frames is taken.
    duration: length of the clip in s, to check the times against. video_start: time of the first video frame on the
    clip's clock (`media.probe`), as OpenFace counts from the first frame. Raises `ClipError` where the file is missing,
    empty, lacks the 2-D landmarks, has times that go back, or belongs to another clip by its times.
    """
    import pandas

    name = Path(path).name
    if not Path(path).is_file():
        raise _fault(f"there is no file {path}", "correct the landmark path, or track with the built-in tracker")
    try:
        table = pandas.read_csv(path, skipinitialspace=True)
    except (pandas.errors.ParserError, pandas.errors.EmptyDataError, UnicodeDecodeError) as error:
        raise _fault(f"{name} is no readable CSV ({error})") from error
    table.columns = table.columns.str.strip()
    missing = [column for column in _NEEDED if column not in table.columns]
    if missing:
        raise _fault(f"{name} lacks {len(missing)} columns, such as {missing[0]}", "run FeatureExtraction with -2Dfp")
    if table.empty:
        raise _fault(f"{name} holds no frame")
    table = table.assign(**{column: pandas.to_numeric(table[column], errors="coerce") for column in _NEEDED})
    if "face_id" in table.columns:
        table = table[table["face_id"] == table.groupby("face_id")["success"].sum().idxmax()]
    times = table["timestamp"].to_numpy(np.float64) + video_start
    if not (np.diff(times) > 0).all() or not np.isfinite(times).all():
        raise _fault(f"the timestamps of {name} are not ascending numbers")
    if duration is not None:
        _check_times(times, duration, name)
    points = _points(table, LIP_POINTS)
    eyes = np.stack([_points(table, eye).mean(axis=1) for eye in (range(36, 42), range(42, 48))], axis=1)
    confidence = table["confidence"].to_numpy(np.float32)
    found = (table["success"].to_numpy() == 1) & np.isfinite(points).all(axis=(1, 2)) & np.isfinite(confidence)
    found &= np.isfinite(eyes).all(axis=(1, 2))
    points[~found], eyes[~found] = np.nan, np.nan
    return MouthTrack(times, points, eyes, np.where(found, confidence, 0).astype(np.float32), found)


def _points(table, indices) -> np.ndarray:
    """float32 [F, len(indices), 2]"""
    return np.stack([table[[f"{axis}_{i}" for i in indices]].to_numpy(np.float32) for axis in "xy"], axis=2)


def _check_times(times: np.ndarray, duration: float, name: str) -> None:
    interval = np.median(np.diff(times)) if len(times) > 1 else 0.0
    span = times[-1] - times[0] + interval
    if times[-1] > duration + 2 * interval + 0.1 or span < _LEAST_COVER * duration:
        raise _fault(
            f"the frames of {name} span {times[0]:.2f}-{times[-1]:.2f} s, the clip {duration:.2f} s",
            "give the landmarks of this clip; timestamps count seconds from its first frame",
        )


def _fault(reason: str, remedy: str = "run FeatureExtraction again on this clip") -> ClipError:
    return ClipError(reason, remedy=remedy, error_class="landmarks")


class OpenFaceProgram:
    """Runs OpenFace's FeatureExtraction, by name or path, on one video after the other.

    Raises AgserError where the program is not installed.
    """

    def __init__(self, program: str):
        self._path = find_program(
            program,
            "OpenFace",
            "Build or download it (https://github.com/TadasBaltrusaitis/OpenFace/wiki, its models too) and put it on "
            "the PATH of every node, or give its path in extract.mouth.openface_program; or set "
            "extract.mouth.source to mediapipe, which needs no other program",
        )

    def track(self, video: str, seconds: float, duration: float | None = None, video_start: float = 0.0) -> MouthTrack:
        """The landmarks of a video as `read_openface` gives them. seconds: what the program may take.

        Raises ClipError where the program fails, takes too long or leaves no CSV, and what `read_openface` raises.
        """
        with tempfile.TemporaryDirectory(prefix="agser-openface-") as folder:
            command = [self._path, "-f", video, "-out_dir", folder, "-of", "clip", "-2Dfp", "-q"]
            run_program(command, seconds, "landmarks")
            return read_openface(Path(folder) / "clip.csv", duration, video_start)
