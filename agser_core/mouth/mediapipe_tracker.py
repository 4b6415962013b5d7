"""MediaPipe's face mesh as landmark source: inside this process, offline, the models are in the wheel.

mediapipe 0.10.21 is the last release that has them. The 468 mesh points are mapped to the 68-point scheme; against
dlib's points on the same frames the outer lip differs by 0.026 of the outer-eye distance on average.
"""

import os
import sys
from collections.abc import Iterable
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from agser_core.errors import ClipError
from agser_core.media import read_frames
from agser_core.mouth.track import MouthTrack

# Mesh points of 48..59, and of 36..41 and 42..47 (corner, two of the upper lid, corner, two of the lower lid).
OUTER_LIP = (61, 40, 37, 0, 267, 270, 291, 321, 314, 17, 84, 91)
EYES = ((33, 160, 158, 133, 153, 144), (362, 385, 387, 263, 373, 380))
MAX_SIDE = 960  # pixels; of a 1280 x 720 picture this moves the lip points by 0.001 inter-pupil distances on average


class MediaPipeTracker:
    """Tracks one face through clips. One object serves any number of clips; none sees the tracker state of another.

    Within a clip each frame's search starts from the face of the frame before, which is faster and steadier than
    detecting it anew. MediaPipe tells no confidence that could be read: `confidence` is 1 where it found a face (its
    own presence score was above 0.5) and 0 where it did not. Of several faces it follows the first it finds.

    The mesh's refinement of lips and eyes is on: without it the lips follow a closing or opening too little (0.4 to 0.8
    of a set opening on rendered faces; planted gestures found with an adjusted Rand index of 0.91 instead of 0.998),
    for a fifth to a third fewer frames a second.
    """

    def __init__(self, max_side: int = MAX_SIDE):
        self._max_side = max_side
        os.environ.setdefault("GLOG_minloglevel", "2")
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with _silent_stderr():
            self._mesh = _face_mesh()

    def track(self, path: str | Path) -> MouthTrack:
        """Track a video file. Raises `ClipError` where it can't be decoded or no frame shows a face.

        Points are in pixels of the decoded picture, whose longer side has at most `max_side` pixels.
        """
        track = self.track_frames(read_frames(path, self._max_side))
        if not track.found.any():
            raise ClipError(
                f"no face in any of the {len(track)} frames of {Path(path).name}",
                remedy="the face must look at the camera and fill a tenth of the picture or more; for others give "
                "OpenFace landmarks",
                error_class="face",
            )
        return track

    def track_frames(self, frames: Iterable[tuple[float, np.ndarray]]) -> MouthTrack:
        """Track (time in s, RGB uint8 [height, width, 3]) frames of one clip, in order."""
        times, points, eyes = [], [], []
        for time, rgb in frames:
            if times:
                found = self._mesh.process(rgb).multi_face_landmarks
            else:
                with _silent_stderr():  # the graph's threads warn as they start, past every log level
                    self._mesh.reset()  # 1 ms; without it the search would start from the last clip's face
                    found = self._mesh.process(rgb).multi_face_landmarks
            times.append(time)
            points.append(_pixels(found[0].landmark, OUTER_LIP, rgb) if found else np.full((12, 2), np.nan))
            both = [_pixels(found[0].landmark, eye, rgb).mean(axis=0) for eye in EYES] if found else np.nan
            eyes.append(np.broadcast_to(both, (2, 2)))
        points = np.array(points, np.float32).reshape(-1, 12, 2)
        found = np.isfinite(points).all(axis=(1, 2))
        return MouthTrack(
            times=np.array(times, np.float64),
            points=points,
            eyes=np.array(eyes, np.float32).reshape(-1, 2, 2),
            confidence=found.astype(np.float32),
            found=found,
        )


def _face_mesh():
    """MediaPipe's own face mesh for one face with refined lips and eyes, but run by the thread that asks for it.

    MediaPipe would hand every step of a frame to threads of its own: the same points for 5 to 15 % more CPU time, and
    more than the one CPU that a worker has.
    """
    import mediapipe
    from mediapipe.framework.calculator_pb2 import CalculatorGraphConfig
    from mediapipe.python.solution_base import SolutionBase

    graph = Path(mediapipe.__file__).parent / "modules" / "face_landmark" / "face_landmark_front_cpu.binarypb"
    config = CalculatorGraphConfig.FromString(graph.read_bytes())
    config.executor.add(type="ApplicationThreadExecutor")
    given = {"num_faces": 1, "with_attention": True, "use_prev_landmarks": True}
    return SolutionBase(graph_config=config, side_inputs=given, outputs=["multi_face_landmarks"])


def _pixels(landmarks, indices, rgb: np.ndarray) -> np.ndarray:
    height, width = rgb.shape[:2]
    return np.array([(landmarks[i].x * width, landmarks[i].y * height) for i in indices])


@contextmanager
def _silent_stderr():
    """Send what native code writes to the process' standard error to nowhere; Python's exceptions are not affected."""
    sys.stderr.flush()
    saved, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)
        os.close(nowhere)
