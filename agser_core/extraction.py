"""One clip from file to rows: decode, phones, mouth, speech. Read this file to follow a clip through extraction."""

import contextlib
import dataclasses
import os
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np
import pyarrow as pa

from agser_core import media, tables
from agser_core.corpora.clip import Clip
from agser_core.errors import AgserError, ClipError, StorageError
from agser_core.experiment import ExtractSettings
from agser_core.media import SAMPLING_RATE
from agser_core.mouth.mediapipe_tracker import MediaPipeTracker
from agser_core.mouth.openface import OpenFaceProgram, read_openface
from agser_core.mouth.track import MouthTrack
from agser_core.mouth.trajectory import Trajectory, eye_coordinates, trajectory
from agser_core.phones import inventory
from agser_core.phones.aligner import Aligner
from agser_core.phones.interval import Phone
from agser_core.phones.label_files import read_phones
from agser_core.phones.mfa import MfaProgram
from agser_core.speech import load_encoder
from agser_core.speech.pooling import as_stored, frames_of, pool
from agser_core.storage import Location

TABLES = ("clips", "segments", "tracks", "phone_vectors", "frames", "errors")
OFTEN_EMPTY = ("frames", "errors")  # of most units: no file then, since every file costs its readers
_FOR_PROGRAMS = 0.8  # of a clip's time limit: another program must end before the process that waits for it is ended
_ENCODED_TOGETHER = 60.0  # seconds of speech; with all layers of a large model a minute is 300 MB of vectors


@dataclasses.dataclass
class Unit:
    """What extraction makes of some clips: a table each, and the seconds each step took."""

    clips: pa.Table
    segments: pa.Table
    tracks: pa.Table
    phone_vectors: pa.Table
    frames: pa.Table  # no rows without settings.speech.frame_layer
    errors: pa.Table
    seconds: dict[str, float]

    @classmethod
    def of(cls, rows: dict[str, list[dict]], seconds: dict[str, float]) -> "Unit":
        schemas = (getattr(tables, name.upper()) for name in TABLES)
        made = (tables.from_rows(rows.get(name, ()), schema) for name, schema in zip(TABLES, schemas, strict=True))
        return cls(*made, dict(seconds))

    @classmethod
    def joined(cls, units: list["Unit"]) -> "Unit":
        """Several units as one."""
        seconds = sum((Counter(unit.seconds) for unit in units), Counter())
        return cls(*(pa.concat_tables(getattr(unit, name) for unit in units) for name in TABLES), dict(seconds))

    def tables(self) -> dict[str, pa.Table]:
        return {name: getattr(self, name) for name in TABLES}


@dataclasses.dataclass
class _Files:
    """Local paths of a clip's files."""

    audio: str
    video: str | None
    phones: str | None
    openface: str | None


@dataclasses.dataclass
class _Described:
    """A clip before encoding: its speech, its phones, and the rows so far."""

    clip: Clip
    waveform: np.ndarray
    phones: list[Phone]
    rows: dict[str, list[dict]]


class ClipExtractor:
    """Holds the tracker, the aligner and the encoder, which are costly to load, and extracts clips with them."""

    def __init__(self, settings: ExtractSettings):
        self.settings = settings
        self.aligner = Aligner(settings.phones.dictionary)
        self.mfa = None
        if settings.phones.source == "mfa":
            self.mfa = MfaProgram(
                settings.phones.mfa_program, settings.phones.mfa_dictionary, settings.phones.mfa_acoustic_model
            )
        self.tracker = MediaPipeTracker(settings.mouth.max_side) if settings.mouth.source == "mediapipe" else None
        program = settings.mouth.openface_program
        self.openface = OpenFaceProgram(program) if settings.mouth.source == "openface" and program else None
        self.encoder = load_encoder(
            settings.speech.encoder,
            layers=settings.speech.layers,
            device=settings.speech.device,
            frame_layer=settings.speech.frame_layer,
        )

    @property
    def vector_shape(self) -> tuple[int, int]:
        return self.encoder.n_layers, self.encoder.dimension

    def extract(self, clips: list[Clip], working: Callable[[list[str]], None] = lambda clip_ids: None) -> Unit:
        """Extract clips. A clip that fails becomes a row of errors and leaves no other trace.

        working is told which clips are being decoded, tracked or encoded from now on, and the empty list while storage
        is waited for: whoever sets time limits needs to know. Raises StorageError, which is no clip's fault.
        """
        seconds: Counter = Counter()
        errors: list[dict] = []
        aligned = self._align_with_mfa(clips, _Step(seconds), working) if self.mfa else {}
        described = [
            found for clip in clips if (found := self._describe(clip, _Step(seconds), errors, working, aligned))
        ]
        rows: dict[str, list[dict]] = {name: [] for name in TABLES}
        for group in _alike(described):
            working([member.clip.clip_id for member in group])
            self._encode(group, _Step(seconds), errors)
        for member in described:  # in the order of the clips
            for name, new in member.rows.items():
                rows[name] += new if "phone_vectors" in member.rows else []
        return Unit.of({**rows, "errors": errors}, seconds)

    def _align_with_mfa(
        self, clips: list[Clip], step: "_Step", working: Callable[[list[str]], None]
    ) -> dict[str, list[Phone] | ClipError]:
        """What MFA makes of the clips by id. One that can't be read or has no transcript is left to `_describe`."""
        spoken: dict[str, tuple[np.ndarray, str]] = {}
        for clip in clips:
            with contextlib.ExitStack() as stack, _collect(clip, step, []):
                working([])
                with step("read"):
                    audio = _copy(stack, clip.audio_uri)
                working([clip.clip_id])
                with step("decode audio"):
                    if clip.transcript:
                        spoken[clip.clip_id] = (media.read_audio(audio), clip.transcript)
        with step("phones"):
            return self._with_mfa(spoken, working)

    def _with_mfa(
        self, spoken: dict[str, tuple[np.ndarray, str]], working: Callable[[list[str]], None]
    ) -> dict[str, list[Phone] | ClipError]:
        """All clips in one run of MFA; where that fails each in its own, so that only the faulty one is lost."""
        if not spoken:
            return {}
        working(list(spoken))
        seconds = _FOR_PROGRAMS * self.settings.clip_seconds_limit * len(spoken)
        try:
            return dict(zip(spoken, self.mfa.align(list(spoken.values()), seconds), strict=True))
        except ClipError as error:
            if len(spoken) == 1:
                return dict.fromkeys(spoken, error)
        alone = [self._with_mfa({clip_id: one}, working) for clip_id, one in spoken.items()]
        return {clip_id: found for part in alone for clip_id, found in part.items()}

    def _describe(
        self,
        clip: Clip,
        step: "_Step",
        errors: list[dict],
        working: Callable[[list[str]], None],
        aligned: dict[str, list[Phone] | ClipError],
    ) -> _Described | None:
        """Everything but the encoder's part; None where the clip fails."""
        with contextlib.ExitStack() as stack, _collect(clip, step, errors):
            working([])
            with step("read"):
                files = self._fetch(clip, stack)
            working([clip.clip_id])
            with step("decode audio"):
                waveform = media.read_audio(files.audio)
            duration = len(waveform) / SAMPLING_RATE
            with step("phones"):
                phones, source = self._phones(clip, waveform, duration, files.phones, aligned.get(clip.clip_id))
            track = movement = None
            if files.video:
                with step("track"):
                    track = self._track(files, duration)
            with step("cut"):
                if track is not None:
                    movement = trajectory(track, origin=self.settings.mouth.origin)
                segments = [self._segment(clip, i, phone, track, movement) for i, phone in enumerate(phones)]
            rows = {
                "clips": [_clip_row(clip, duration, source, track)],
                "segments": segments,
                "tracks": [] if track is None else [_track_row(clip, track)],
            }
            return _Described(clip, waveform, phones, rows)
        return None

    def _encode(self, group: list[_Described], step: "_Step", errors: list[dict]) -> None:
        """Encode clips together; where that fails each by itself, so that only the faulty one is lost."""
        if len(group) == 1:
            with _collect(group[0].clip, step, errors):
                self._add_vectors(group, step)
            return
        try:
            self._add_vectors(group, step)
        except Exception:  # of whichever clip: encoded by itself it says so
            for member in group:
                self._encode([member], step, errors)

    def _add_vectors(self, group: list[_Described], step: "_Step") -> None:
        waveforms = [member.waveform for member in group]
        with step("encode"):
            if self.settings.speech.frame_layer is None:
                encoded = self.encoder.encode(waveforms)
            else:
                encoded, entering = zip(*self.encoder.encode_with_frames(waveforms), strict=True)
                for member, frames in zip(group, entering, strict=True):
                    member.rows["frames"] = [self._frames_row(member, frames)]
            for member, frames in zip(group, encoded, strict=True):
                vectors = as_stored(pool(frames, self.encoder.frame_rate, member.phones))
                member.rows["phone_vectors"] = [
                    {"clip_id": member.clip.clip_id, "position": position, "vector": vector.ravel()}
                    for position, vector in enumerate(vectors)
                ]

    def _frames_row(self, member: _Described, frames: np.ndarray) -> dict:
        spans = frames_of(member.phones, len(frames), self.encoder.frame_rate)
        return {
            "clip_id": member.clip.clip_id,
            "n_frames": len(frames),
            "frames": as_stored(frames[:, None]).ravel(),
            "first": spans[:, 0],
            "stop": spans[:, 1],
        }

    def _fetch(self, clip: Clip, stack: contextlib.ExitStack) -> _Files:
        """Local copies of a clip's files, which last as long as the stack."""
        audio = _copy(stack, clip.audio_uri)
        same = clip.video_uri == clip.audio_uri
        video = clip.video_uri and (audio if same else _copy(stack, clip.video_uri))
        own_phones = clip.phones_uri and self.settings.phones.source == "auto"
        phones = _copy(stack, clip.phones_uri) if own_phones else None
        if not video or self.tracker is not None or self.openface is not None:
            return _Files(audio, video, phones, None)
        csv = openface_csv(clip, self.settings)
        if not csv.exists():
            raise ClipError(
                f"there is no OpenFace CSV {csv.uri}",
                remedy="run OpenFace's FeatureExtraction on the clip, or name it in extract.mouth.openface_program in "
                "place of the folder, or set extract.mouth.source to mediapipe",
                error_class="landmarks",
            )
        return _Files(audio, video, phones, _copy(stack, csv.uri))

    def _phones(
        self,
        clip: Clip,
        waveform: np.ndarray,
        duration: float,
        file: str | None,
        aligned: list[Phone] | ClipError | None,
    ) -> tuple[list[Phone], str]:
        if isinstance(aligned, ClipError):
            raise aligned
        if aligned is not None:
            return aligned, "mfa"
        if file:
            return read_phones(file, duration)
        if not clip.transcript:
            raise ClipError(
                "no transcript and no phone times",
                remedy="give a transcript in the manifest, or a TextGrid with phone times",
                error_class="transcript",
            )
        language = clip.language or "en"
        return self.aligner.align(waveform, SAMPLING_RATE, clip.transcript, language=language).phones, "aligner"

    def _track(self, files: _Files, duration: float) -> MouthTrack:
        if self.tracker is not None:
            return self.tracker.track(files.video)
        start = media.probe(files.video).video_start
        if self.openface is not None:
            limit = _FOR_PROGRAMS * self.settings.clip_seconds_limit
            return self.openface.track(files.video, limit, duration, start)
        return read_openface(files.openface, duration, start)

    def _segment(
        self, clip: Clip, position: int, phone: Phone, track: MouthTrack | None, movement: Trajectory | None
    ) -> dict:
        inventory_key = {"stress": phone.stress, "stressed_ah": self.settings.phones.reduce_stressed_ah}
        is_vowel = inventory.is_vowel(phone.label, **inventory_key)
        wanted = movement is not None and (is_vowel or self.settings.phones.all_mouths)
        mouth = movement.cut(phone.start, phone.end) if wanted else None
        return {
            "clip_id": clip.clip_id,
            "corpus": clip.corpus,
            "position": position,
            "phone": phone.label,
            "stress": phone.stress,
            "is_vowel": is_vowel,
            "ipa": inventory.ipa(phone.label, **inventory_key),
            "start": phone.start,
            "end": phone.end,
            "n_frames": 0 if mouth is None else len(mouth),
            "mouth": [] if mouth is None else mouth.ravel(),
            "confidence": None if mouth is None else track.mean_confidence(phone.start, phone.end),
        }


class _Step:
    """Names the step under way, for the error row, and adds up the seconds of each."""

    def __init__(self, seconds: Counter):
        self.seconds, self.name = seconds, ""

    @contextlib.contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        self.name, start = name, time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] += time.perf_counter() - start


@contextlib.contextmanager
def _collect(clip: Clip, step: _Step, errors: list[dict]) -> Iterator[None]:
    """A clip's fault becomes a row of errors; a fault of the storage goes on to whoever runs the stage."""
    try:
        yield
    except ClipError as error:
        errors.append(error_row(clip, step.name, error))
    except OSError as error:  # FFmpeg gives such errors for odd files too: the storage is at fault if it can't be read
        for uri in {clip.audio_uri, clip.video_uri, clip.phones_uri} - {None}:
            Location.parse(uri).read_bytes()
        remedy = "export or download the clip again; it must open in an ordinary player"
        errors.append(error_row(clip, step.name, ClipError(f"it can't be decoded: {error}", remedy=remedy)))
    except (AgserError, MemoryError):
        raise
    except Exception as error:  # a library's surprise at one odd clip must not cost a long job
        where = traceback.extract_tb(error.__traceback__)[-1]
        reason = f"{type(error).__name__}: {error} ({os.path.basename(where.filename)}, line {where.lineno})"
        remedy = "a fault of this program or a library: please report it with the clip"
        errors.append(error_row(clip, step.name, ClipError(reason, remedy=remedy, error_class="unexpected")))


def openface_csv(clip: Clip, settings: ExtractSettings) -> Location:
    """Where a clip's landmarks lie that OpenFace wrote before."""
    return Location.parse(settings.mouth.openface_folder).join(f"{clip.clip_id}.csv")


def _alike(described: list[_Described]) -> list[list[_Described]]:
    """Groups of clips of alike length, each of a bounded sum, for the encoder."""
    groups: list[list[_Described]] = []
    for member in sorted(described, key=lambda member: len(member.waveform)):
        fits = groups and (len(groups[-1]) + 1) * len(member.waveform) <= _ENCODED_TOGETHER * SAMPLING_RATE
        if fits:
            groups[-1].append(member)
        else:
            groups.append([member])
    return groups


def _copy(stack: contextlib.ExitStack, uri: str) -> str:
    try:
        return stack.enter_context(Location.parse(uri).local_copy())
    except StorageError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise ClipError(
                f"there is no file {uri}", remedy="correct the manifest's path, or fetch the clip"
            ) from error
        raise


def _clip_row(clip: Clip, duration: float, alignment_source: str, track: MouthTrack | None) -> dict:
    row = {**dataclasses.asdict(clip), "duration": duration, "alignment_source": alignment_source}
    if track is None:
        return {**row, "video_frames": 0, "frame_rate": 0}
    return {
        **row,
        "video_frames": len(track),
        "frame_rate": 1 / track.frame_interval if track.frame_interval else 0,
        "tracked_share": track.tracked_share,
    }


def _track_row(clip: Clip, track: MouthTrack) -> dict:
    return {
        "clip_id": clip.clip_id,
        "times": track.times,
        "lips": eye_coordinates(track).ravel(),
        "confidence": track.confidence,
    }


def error_row(clip: Clip, step: str, error: ClipError) -> dict:
    """The row of errors of a clip that failed in a step."""
    return {
        "clip_id": clip.clip_id,
        "corpus": clip.corpus,
        "stage": "extract",
        "step": step,
        "error_class": error.error_class,
        "reason": error.reason,
        "remedy": error.remedy,
        "uri": clip.video_uri or clip.audio_uri,
    }


def check_unique(clips: list[Clip]) -> None:
    """Raise AgserError where two clips of a corpus have one id, naming both files."""
    seen: dict[str, Clip] = {}
    for clip in clips:
        if clip.clip_id in seen:
            raise AgserError(
                f"two clips of the corpus {clip.corpus!r} have the id {clip.clip_id!r}: "
                f"{seen[clip.clip_id].audio_uri} and {clip.audio_uri}. "
                "Give each its own id in the manifest, or take one of them away."
            )
        seen[clip.clip_id] = clip
