"""From the words of a transcript to the entries of the aligner's dictionary, with the stress of each phone."""

import re
import unicodedata
from pathlib import Path

from agser_core.errors import ClipError, ConfigError
from agser_core.phones import stressed_ah
from agser_core.phones.inventory import split_stress

_OWN = "#own"  # suffix of the entries of the user's dictionary, so that they win over the built-in ones
_VARIANT = re.compile(r"\(\d+\)$")


def words_of(transcript: str) -> list[str]:
    """The words of a transcript in lower case, without punctuation; hyphens part words, apostrophes belong to them.

    >>> words_of("Don't sit by the back-door!")
    ["don't", 'sit', 'by', 'the', 'back', 'door']
    """
    text = unicodedata.normalize("NFC", transcript).lower().replace("’", "'")
    return [word for word in (w.strip("'") for w in re.findall(r"[^\W_]+(?:'[^\W_]+)*'?", text)) if word]


def read_pronunciations(path: str | Path) -> dict[str, list[str]]:
    """A pronunciation dictionary in CMU format: "word PH ON1 EME" a line, further ones as "word(2)".

    Returns dictionary entry -> ARPABET phones with their stress digits; ";;;" and "#" begin a comment. Raises
    `ConfigError` for a missing file, a line without phones, or a phone that is not ARPABET.
    """
    if not Path(path).is_file():
        raise ConfigError(f"the pronunciation dictionary {path} does not exist: correct its path in the config")
    entries = {}
    for number, line in enumerate(Path(path).read_text(encoding="utf-8").splitlines(), 1):
        entry, *phones = line.split(";;;")[0].split("#")[0].split() or [""]
        if not entry:
            continue
        wrong = [phone for phone in phones if split_stress(phone) is None]
        if wrong or not phones:
            fault = f"{wrong[0]!r} is no ARPABET phone" if wrong else "it has no phones"
            raise ConfigError(f"line {number} of {path}: {fault}; write lines like 'zorblax Z AO1 R B L AE0 K S'")
        entries[entry.lower()] = phones
    return entries


class Pronunciations:
    """The words that a pocketsphinx decoder knows: CMUdict, the user's dictionary, and eSpeak's for other languages."""

    def __init__(self, decoder, own: dict[str, list[str]]):
        self._decoder, self._stresses, self._own = decoder, {}, set()
        for entry, phones in own.items():
            variant = _VARIANT.search(entry)
            word = _VARIANT.sub("", entry)
            self._add(word + _OWN + (variant[0] if variant else ""), [split_stress(phone) for phone in phones])
            self._own.add(word)

    def entries(self, words: list[str], language: str) -> list[str]:
        """The dictionary entry of each word. Raises `ClipError` naming all words that have none."""
        entries, unknown = [], []
        for word in words:
            entry = word + _OWN if word in self._own else word if language == "en" else f"{word}#{language}"
            if language != "en" and word not in self._own and entry not in self._stresses:
                self._add(entry, _espeak(word, language))
            if self._decoder.lookup_word(entry) is None:
                unknown.append(word)
            entries.append(entry)
        if unknown:
            raise ClipError(
                f"not in the pronunciation dictionary: {', '.join(dict.fromkeys(unknown))}",
                remedy="add the words in CMU format to the dictionary file that the config names, or give the clip a "
                "TextGrid in phones_uri",
                error_class="transcript",
            )
        return entries

    def stresses(self, entry: str, phones: list[str]) -> list[int]:
        """The stress of each phone of an aligned entry, -1 where it is not known."""
        return self._stresses.get(entry) or stressed_ah.stresses(entry, phones)

    def _add(self, entry: str, phones: list[tuple[str, int]]) -> None:
        if phones:
            self._decoder.add_word(entry, " ".join(label for label, _ in phones), True)
            self._stresses[entry] = [stress for _, stress in phones]


def word_of(entry: str) -> str:
    """The word of a dictionary entry: "the(2)" -> "the", "und#de" -> "und"."""
    return _VARIANT.sub("", entry).split("#")[0]


def _espeak(word: str, language: str) -> list[tuple[str, int]]:
    from agser_core.phones.espeak import Espeak

    try:
        return Espeak().transcribe(word, language)
    except ImportError as error:
        raise ClipError(
            f"aligning language {language!r} needs eSpeak NG",
            remedy="install the extra: pip install 'agser[sample]'",
            error_class="transcript",
        ) from error
