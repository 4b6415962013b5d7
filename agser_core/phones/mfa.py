"""The Montreal Forced Aligner as a program: `mfa align` on a few clips at a time, its TextGrids read back.

MFA takes some ten seconds to start, so clips go to it together. Each clip is a speaker of its own there: MFA adapts to
speakers, and a clip's phones must not depend on which clips happen to go with it.
"""

import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agser_core.errors import ClipError
from agser_core.media import SAMPLING_RATE
from agser_core.phones.interval import Phone
from agser_core.phones.textgrid import read_textgrid
from agser_core.programs import find_program, run_program


class MfaProgram:
    """`mfa align` with a pronunciation dictionary and an acoustic model, by the names that `mfa model download` gave
    them or by path. Raises AgserError where the program is not installed."""

    def __init__(self, program: str, dictionary: str, acoustic_model: str):
        self._path = find_program(
            program,
            "the Montreal Forced Aligner",
            "Install it on every node (`conda create -n aligner -c conda-forge montreal-forced-aligner`; from the "
            f"package index it does not run), fetch its models (`mfa model download acoustic {acoustic_model}`, "
            f"`mfa model download dictionary {dictionary}`), and give the program's path in "
            "extract.phones.mfa_program; or set extract.phones.source to auto, which needs no other program",
        )
        self._models = [dictionary, acoustic_model]

    def align(self, clips: Sequence[tuple[np.ndarray, str]], seconds: float) -> list[list[Phone] | ClipError]:
        """The phones of each clip, or why MFA gave none.

        clips: waveform at 16 kHz, float [n] in [-1, 1], and transcript of each. seconds: what the program may take.
        Raises ClipError where the program itself fails or takes longer.
        """
        import soundfile

        with tempfile.TemporaryDirectory(prefix="agser-mfa-") as name:
            folder = Path(name)
            for number, (waveform, transcript) in enumerate(clips):
                speaker = folder / "corpus" / f"{number}"
                speaker.mkdir(parents=True)
                soundfile.write(speaker / f"{number}.wav", waveform, SAMPLING_RATE)
                (speaker / f"{number}.lab").write_text(transcript, encoding="utf-8")
            options = ["--clean", "--quiet", "-j", "1", "-t", str(folder / "temporary")]
            places = [str(folder / "corpus"), *self._models, str(folder / "aligned")]
            run_program([self._path, "align", *options, *places], seconds, "alignment")
            return [
                _read(folder / "aligned" / f"{number}" / f"{number}.TextGrid", len(waveform) / SAMPLING_RATE)
                for number, (waveform, _) in enumerate(clips)
            ]


def _read(file: Path, duration: float) -> list[Phone] | ClipError:
    if not file.exists():
        remedy = "check that the transcript is this clip's, and that MFA's dictionary has its words"
        return ClipError("mfa gave no alignment of this clip", remedy=remedy, error_class="alignment")
    try:
        return read_textgrid(file, duration).phones
    except ClipError as error:
        return error
