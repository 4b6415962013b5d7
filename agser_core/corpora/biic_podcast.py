"""BIIC-Podcast: Taiwanese Mandarin podcasts, audio only, collected and labelled after MSP-Podcast's protocol and
laid out like it (Upadhyay et al., ACII 2023)."""

from agser_core.corpora.clip import Corpus
from agser_core.corpora.podcast import read_podcast


def read(root: str, transcripts: bool = True) -> Corpus:
    """Read the release below `root` (`Labels/labels_consensus.csv` and the audio, at any depth)."""
    return read_podcast(root, "biic_podcast", "zh", transcripts)
