"""MSP-Podcast: English podcasts, audio only, with official partitions (Lotfian & Busso, 2019; releases since 1.8).

Files are named `MSP-PODCAST_0001_0008.wav`: recording and turn. Test3 has no public labels and so no rows.
"""

from agser_core.corpora.clip import Corpus
from agser_core.corpora.podcast import read_podcast


def read(root: str, transcripts: bool = True) -> Corpus:
    """Read the release below `root` (`Labels/`, `Audios/`, and where there are any `Transcripts/`, `ForceAligned/`)."""
    return read_podcast(root, "msp_podcast", "en", transcripts)
