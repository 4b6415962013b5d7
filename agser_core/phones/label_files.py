"""Phone times that come with a corpus: which reader a file needs."""

from pathlib import Path

from agser_core.errors import ClipError
from agser_core.phones.interval import Phone
from agser_core.phones.textgrid import read_textgrid
from agser_core.phones.xlabel import read_xlabel


def read_phones(path: str | Path, duration: float) -> tuple[list[Phone], str]:
    """Read a phone label file of a clip of `duration` s; returns the phones and what kind of file it was.

    Raises ClipError for a file of no known kind, and where the file does not fit the clip.
    """
    suffix = Path(path).suffix.lower()
    if suffix == ".textgrid":
        return read_textgrid(path, duration).phones, "textgrid"
    if suffix == ".lablaut":
        return read_xlabel(path, duration), "xlabel"
    raise ClipError(
        f"{Path(path).name} is no phone label file that can be read",
        remedy="give a Praat TextGrid (.TextGrid), or EMO-DB's .lablaut; or set extract.phones.source to aligner",
        error_class="alignment",
    )
