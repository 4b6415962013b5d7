"""One clip from file to rows: decode, phones, mouth, speech. Read this file to follow a clip through extraction."""

import contextlib
import dataclasses
import time
from collections import Counter
from collections.abc import Iterator

import numpy as np
import pyarrow as pa

from agser_core import media, tables
from agser_core.corpora.clip import Clip
from agser_core.errors import AgserError, ClipError
from agser_core.experiment import ExtractSettings
from agser_core.mouth.mediapipe_tracker import MediaPipeTracker
from agser_core.mouth.openface import read_openface
from agser_core.mouth.track import MouthTrack
from agser_core.mouth.trajectory import Trajectory, eye_coordinates, trajectory
from agser_core.phones import inventory
from agser_core.phones.aligner import Aligner
from agser_core.phones.interval import Phone
from agser_core.phones.label_files import read_phones
from agser_core.speech import load_encoder
from agser_core.speech.pooling import pool
from agser_core.storage import Location

SAMPLING_RATE = 16000
TABLES = ("clips", "segments", "tracks", "phone_vectors", "errors")


@dataclasses.dataclass
class Unit:
    """What extraction makes of some clips: a table each, and the seconds each step took."""

    clips: pa.Table
    segments: pa.Table
    tracks: pa.Table
    phone_vectors: pa.Table
    errors: pa.Table
    seconds: dict[str, float]

    def tables(self) -> dict[str, pa.Table]:
        return {name: getattr(self, name) for name in TABLES}


class ClipExtractor:
    """Holds the tracker, the aligner and the encoder, which are costly to load, and extracts clips with them."""

    def __init__(self, settings: ExtractSettings):
        self.settings = settings
        self.aligner = Aligner(settings.phones.dictionary)
        self.tracker = MediaPipeTracker(settings.mouth.max_side) if settings.mouth.source == "mediapipe" else None
        self.encoder = load_encoder(
            settings.speech.encoder, layers=settings.speech.layers, device=settings.speech.device
        )

    @property
    def vector_shape(self) -> tuple[int, int]:
        return self.encoder.n_layers, self.encoder.dimension

    def extract(self, clips: list[Clip]) -> Unit:
        """Extract clips. A clip that fails becomes a row of errors and leaves no other trace."""
        seconds: Counter = Counter()
        rows: dict[str, list[dict]] = {name: [] for name in TABLES}
        for clip in clips:
            step = _Step(seconds)
            try:
                for name, new in self._extract_clip(clip, step).items():
                    rows[name] += new
            except ClipError as error:
                rows["errors"].append(_error_row(clip, step.name, error))
        schemas = (tables.CLIPS, tables.SEGMENTS, tables.TRACKS, tables.PHONE_VECTORS, tables.ERRORS)
        made = (tables.from_rows(rows[name], schema) for name, schema in zip(TABLES, schemas, strict=True))
        return Unit(*made, dict(seconds))

    def _extract_clip(self, clip: Clip, step: "_Step") -> dict[str, list[dict]]:
        """The rows of one clip by table. Raises ClipError; `step.name` then says in which step."""
        with contextlib.ExitStack() as stack:
            with step("read"):
                audio = _copy(stack, clip.audio_uri)
                same = clip.video_uri == clip.audio_uri
                video = clip.video_uri and (audio if same else _copy(stack, clip.video_uri))
            with step("decode audio"):
                waveform = media.read_audio(audio, SAMPLING_RATE)
            duration = len(waveform) / SAMPLING_RATE
            with step("phones"):
                phones, source = self._phones(clip, waveform, duration, stack)
            track = movement = None
            if video:
                with step("track"):
                    track = self._track(clip, video, duration)
            with step("cut"):
                if track is not None:
                    movement = trajectory(track, origin=self.settings.mouth.origin)
                segments = [self._segment(clip, i, phone, track, movement) for i, phone in enumerate(phones)]
            with step("encode"):
                (frames,) = self.encoder.encode([waveform])
                vectors = pool(frames, self.encoder.frame_rate, phones).astype(np.float16)
        return {
            "clips": [_clip_row(clip, duration, source, track)],
            "segments": segments,
            "tracks": [] if track is None else [_track_row(clip, track)],
            "phone_vectors": [
                {"clip_id": clip.clip_id, "position": position, "vector": vector.ravel()}
                for position, vector in enumerate(vectors)
            ],
        }

    def _phones(
        self, clip: Clip, waveform: np.ndarray, duration: float, stack: contextlib.ExitStack
    ) -> tuple[list[Phone], str]:
        if clip.phones_uri and self.settings.phones.source == "auto":
            return read_phones(_copy(stack, clip.phones_uri), duration)
        if not clip.transcript:
            raise ClipError(
                "no transcript and no phone times",
                remedy="give a transcript in the manifest, or a TextGrid with phone times",
                error_class="transcript",
            )
        language = clip.language or "en"
        return self.aligner.align(waveform, SAMPLING_RATE, clip.transcript, language=language).phones, "aligner"

    def _track(self, clip: Clip, video: str, duration: float) -> MouthTrack:
        if self.tracker is not None:
            return self.tracker.track(video)
        csv = Location.parse(self.settings.mouth.openface_folder).join(f"{clip.clip_id}.csv")
        if not csv.exists():
            raise ClipError(
                f"there is no OpenFace CSV {csv.uri}",
                remedy="run OpenFace's FeatureExtraction on the clip, or set extract.mouth.source to mediapipe",
                error_class="landmarks",
            )
        with csv.local_copy() as path:
            return read_openface(path, duration, media.probe(video).video_start)

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


def _copy(stack: contextlib.ExitStack, uri: str) -> str:
    return stack.enter_context(Location.parse(uri).local_copy())


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


def _error_row(clip: Clip, step: str, error: ClipError) -> dict:
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
