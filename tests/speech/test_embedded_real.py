"""How much the phone means of the embedded encoder say of emotion on real speech, against the classic baseline.

`pytest -s -m slow tests/speech/test_embedded_real.py` prints the figures. A linear classifier (shrinkage LDA on the
mean of a clip's phone vectors) is used: what it finds, a network over phone vectors can find. Folds are
speaker-disjoint.
"""

from collections import defaultdict

import numpy as np
import pytest

from agser_core import corpora
from agser_core.corpora.splits import k_folds
from agser_core.errors import ClipError
from agser_core.media import read_audio
from agser_core.phones.aligner import Aligner
from agser_core.phones.xlabel import read_xlabel
from agser_core.speech import load_encoder, pool

CLASSIC = {
    ("ravdess", "raw"): 0.576,
    ("ravdess", "speaker"): 0.698,
    ("emodb", "raw"): 0.777,
    ("emodb", "speaker"): 0.841,
}
"""UAR of an SVM (RBF) on the 88 eGeMAPS functionals, same clips, 5 speaker-disjoint folds (METHOD section 6)."""


@pytest.mark.slow
@pytest.mark.parametrize(("name", "options"), [("ravdess", {"modality": "audio"}), ("emodb", {})])
def test_phone_means_beat_the_classic_baseline(real_data, name, options):
    encoder, aligner = load_encoder(), Aligner()
    clips, vectors = [], []
    for clip in corpora.read(name, str(real_data / name), **options).clips:
        if clip.emotion not in corpora.CLASSES:
            continue
        waveform = read_audio(clip.audio_uri)
        try:
            if clip.phones_uri:
                phones = read_xlabel(clip.phones_uri, len(waveform) / 16000)
            else:
                phones = aligner.align(waveform, 16000, clip.transcript).phones
        except ClipError:
            continue  # one clip in three hundred has no phones, and its error row in extraction
        clips.append(clip)
        vectors.append(pool(encoder.encode([waveform])[0], encoder.frame_rate, phones)[:, 0])
    for normalisation in ("raw", "speaker"):
        scaled = vectors if normalisation == "raw" else by_speaker(clips, vectors)
        found = recall(clips, np.array([phones.mean(axis=0) for phones in scaled]))
        print(f"{name}, {normalisation}: UAR {found:.3f} of {len(clips)} clips, classic {CLASSIC[name, normalisation]}")
        assert found > CLASSIC[name, normalisation]


def by_speaker(clips, vectors):
    """z-normalised by all phones of each speaker."""
    of_speaker = defaultdict(list)
    for clip, phones in zip(clips, vectors, strict=True):
        of_speaker[clip.speaker].append(phones)
    moments = {name: (np.vstack(v).mean(axis=0), np.vstack(v).std(axis=0) + 1e-6) for name, v in of_speaker.items()}
    return [(v - moments[clip.speaker][0]) / moments[clip.speaker][1] for clip, v in zip(clips, vectors, strict=True)]


def recall(clips, inputs) -> float:
    """Mean UAR over four seeds of 5-fold cross-validation."""
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.metrics import recall_score
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    emotion = np.array([corpora.CLASSES.index(clip.emotion) for clip in clips])
    scores = []
    for seed in range(4):
        folds = k_folds(clips, 5, seed)
        fold = np.array([folds[clip.speaker] for clip in clips])
        predicted = np.empty_like(emotion)
        for number in range(5):
            model = make_pipeline(StandardScaler(), LinearDiscriminantAnalysis(solver="lsqr", shrinkage=0.3))
            model.fit(inputs[fold != number], emotion[fold != number])
            predicted[fold == number] = model.predict(inputs[fold == number])
        scores.append(recall_score(emotion, predicted, average="macro"))
    return float(np.mean(scores))
