"""A phone with its times, the alignment of a clip, and the check that an alignment belongs to its clip."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from agser_core.errors import ClipError

_TOLERANCE = 0.1  # s; encoders pad audio by some 50 ms, so an alignment made on another copy may end that much later


@dataclass(frozen=True)
class Phone:
    """One phone: ARPABET `label` without stress, times in s on the clip's clock, stress 0, 1, 2 or -1 (not known)."""

    label: str
    start: float
    end: float
    stress: int = -1


@dataclass(frozen=True)
class Alignment:
    """The phones of a clip in order, silences left out, and its words as (word, start, end)."""

    phones: list[Phone]
    words: list[tuple[str, float, float]] = field(default_factory=list)


def check_fits(phones: Sequence[Phone], duration: float, source: str) -> None:
    """Raise `ClipError` unless the phones are in order, do not overlap, and lie within a clip of `duration` s.

    source: the file or aligner the phones came from, for the message.
    """
    if not phones:
        raise ClipError(f"{source} holds no phone", remedy="check the file's phone tier", error_class="alignment")
    previous = 0.0
    for phone in phones:
        if phone.start < previous - 1e-6 or phone.end <= phone.start:
            raise ClipError(
                f"{source}: phone {phone.label} at {phone.start:.3f}-{phone.end:.3f} s begins before {previous:.3f} s "
                "or ends before it begins",
                remedy="correct the times in the file",
                error_class="alignment",
            )
        previous = phone.end
    if previous > duration + _TOLERANCE:
        raise ClipError(
            f"{source} ends at {previous:.2f} s, the clip at {duration:.2f} s",
            remedy="give the alignment of this clip, made on the same cut of its audio",
            error_class="alignment",
        )
