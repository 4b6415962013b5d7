"""dlib's face detector and 68 points on every frame of some videos: prints frames a second of CPU.

Runs in an environment of its own, without agser: `python dlib_landmarks.py VIDEO...`.
"""

import importlib.util
import sys
import time
from pathlib import Path

import av
import dlib


def main() -> None:
    (folder,) = importlib.util.find_spec("face_recognition_models").submodule_search_locations
    detector = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(str(Path(folder) / "models" / "shape_predictor_68_face_landmarks.dat"))
    frames, started = 0, time.process_time()
    for video in sys.argv[1:]:
        with av.open(video) as container:
            container.streams.video[0].codec_context.thread_count = 1
            for frame in container.decode(video=0):
                rgb = frame.to_ndarray(format="rgb24")
                for face in detector(rgb)[:1]:
                    predictor(rgb, face)
                frames += 1
    print(frames / (time.process_time() - started))


if __name__ == "__main__":
    main()
