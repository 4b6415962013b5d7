"""Python runs this at its start wherever the folder is on the path: makes named things fail, for real.

AGSER_TEST_FAULTS holds words such as
    abort:alder-01-neutral-1   the tracker aborts its process on this clip; also hang:... and raise:...
    slow:0.5                   seconds more a clip, or with epoch:... an epoch
    die:/clips/:FOLDER         the process is killed before it writes a file of such a path, once: FOLDER remembers
    epoch:3:FOLDER             a training process is killed at the end of its epoch 3, before it reports it, once
"""

import os
import signal
import time

_FAULTS = [fault.split(":") for fault in os.environ.get("AGSER_TEST_FAULTS", "").split()]


def _make_the_tracker_fail() -> None:
    from agser_core.mouth.mediapipe_tracker import MediaPipeTracker

    track = MediaPipeTracker.track

    def faulty(self, path):
        for kind, what, *_ in _FAULTS:
            if kind == "slow":
                time.sleep(float(what))
            elif kind != "die" and what in str(path):
                if kind == "abort":
                    os.abort()
                if kind == "hang":
                    time.sleep(3600)
                raise IndexError("a library's surprise")
        return track(self, path)

    MediaPipeTracker.track = faulty


def _make_writes_fatal() -> None:
    from agser_core.storage import Location

    write = Location.write_bytes

    def fatal(self, data):
        for kind, what, *rest in _FAULTS:
            if kind == "die" and what in self.uri:
                try:
                    os.mkdir(os.path.join(rest[0], what.strip("/")))
                except FileExistsError:
                    continue
                os.kill(os.getpid(), signal.SIGKILL)
        return write(self, data)

    Location.write_bytes = fatal


def _make_an_epoch_fatal() -> None:
    from agser_core.ser.trainer import Training

    train = Training.next_epoch

    def fatal(self) -> dict:
        figures = train(self)
        time.sleep(sum(float(what) for kind, what, *_ in _FAULTS if kind == "slow"))
        for _, epoch, folder in (fault for fault in _FAULTS if fault[0] == "epoch"):
            if figures["epoch"] == int(epoch) and not os.path.exists(once := os.path.join(folder, f"epoch{epoch}")):
                os.mkdir(once)
                os.kill(os.getpid(), signal.SIGKILL)
        return figures

    Training.next_epoch = fatal


if any(kind == "epoch" for kind, *_ in _FAULTS):
    _make_an_epoch_fatal()
elif _FAULTS:
    _make_the_tracker_fail()
    _make_writes_fatal()
