"""Made-up but realistic inputs of a report: two corpora with planted gestures, results, costs. All is invented."""

import numpy as np
import pandas as pd

from agser_core.evaluation.summary import confusion_table, summarise
from agser_core.gestures.association import acoustic_clusters_per_gesture, association_table
from agser_core.gestures.overlap import count_gestures, overlap_table, vowel_cluster_table, vowel_emotion_table
from agser_core.gestures.sanity import choose_pair_of_clusters, sanity_curves
from agser_core.ragged import Ragged
from agser_core.report import collect
from agser_core.report.inputs import ReportInputs

PAIR = ("alder", "birch")
VOWELS = ("ɑ", "ə", "ɛ", "i", "æ", "u")
EMOTIONS = ("neutral", "anger", "happiness", "sadness")
N_CLUSTERS = 8
N_ACOUSTIC = 12
SAMPLING_RATE = 16_000
CONFIG = """name: made up
corpora:
  alder: {adapter: sample, path: data/sample/alder}
  birch: {adapter: sample, path: data/sample/birch}
cluster: {n_clusters: null, metric: divergence}
evaluate: {methods: [none, ag, hard_ag, pa, random_clusters], seeds: [0, 1, 2]}
"""


def mouth_movement(gesture: int, rng: np.random.Generator) -> np.ndarray:
    """One segment [n, 24]: an ellipse of lips whose height and width move as the gesture says."""
    time = np.linspace(0, 1, rng.integers(6, 16))
    opening = (0.12 + 0.05 * (gesture % 4)) * (0.4 + np.sin(np.pi * time ** (0.5 + 0.35 * (gesture // 2))))
    width = 0.42 - 0.09 * (gesture % 3) * np.sin(np.pi * time)
    angles = np.pi + np.arange(12) * np.pi / 6  # left corner, over the upper lip, to the right corner and back
    opening, width = opening * rng.normal(1, 0.12), width * rng.normal(1, 0.05)
    points = np.stack([width[:, None] * np.cos(angles), (opening[:, None] + 0.1) * np.sin(angles)], axis=-1)
    return (points + 0.012 * rng.standard_normal(points.shape)).reshape(len(time), 24).astype(np.float32)


def segment_columns(n: int, rng: np.random.Generator) -> pd.DataFrame:
    """corpus, speaker, vowel, emotion, gesture, acoustic of n segments; gestures lean on the first three."""
    frame = pd.DataFrame(
        {
            "corpus": rng.choice(PAIR, n),
            "person": rng.integers(0, 6, n).astype(str),
            "vowel": rng.choice(VOWELS, n, p=[0.15, 0.3, 0.15, 0.15, 0.15, 0.1]),
            "emotion": rng.choice(EMOTIONS, n),
        }
    )
    frame["speaker"] = frame["corpus"] + "-" + frame["person"]
    leaning = frame["vowel"].map(VOWELS.index) + 2 * (frame["emotion"] == "anger") + (frame["corpus"] == PAIR[1])
    frame["gesture"] = np.where(rng.random(n) < 0.55, leaning % (N_CLUSTERS - 1), rng.integers(0, N_CLUSTERS, n))
    frame.loc[
        (frame["gesture"] == N_CLUSTERS - 1) & (frame["corpus"] == PAIR[1]) & (rng.random(n) < 0.9), "gesture"
    ] = 0
    frame["acoustic"] = np.where(rng.random(n) < 0.4, frame["gesture"], rng.integers(0, N_ACOUSTIC, n))
    return frame


def clip_tables(rng: np.random.Generator) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """The tables clips, segments (without mouths) and errors, as the extraction would write them."""
    clips, segments = [], []
    for corpus in PAIR:
        for number in range(96):
            clip_id, person = f"{corpus}-{number:03d}", number % 6
            clips.append(
                {
                    "clip_id": clip_id,
                    "corpus": corpus,
                    "speaker": f"{corpus}-{person}",
                    "gender": "female" if person % 2 else "male",
                    "language": "en",
                    "emotion": EMOTIONS[number % 4],
                    "label_rule": "as generated",
                    "transcript": "We keep the blue lamp near the bed.",
                    "duration": 2.1 + 0.6 * rng.random(),
                    "video_frames": 60,
                    "tracked_share": 1.0 if rng.random() < 0.9 else 0.95,
                    "alignment_source": "aligner",
                    "times": np.arange(60) / 25,
                    "opening": 0.2 + 0.15 * np.abs(np.sin(np.arange(60) / 4)),
                }
            )
            starts = 0.2 + 0.11 * np.arange(18)
            for position, start in enumerate(starts):
                vowel = position % 3 == 1
                segments.append(
                    {
                        "clip_id": clip_id,
                        "corpus": corpus,
                        "position": position,
                        "phone": "AE" if vowel else "L",
                        "ipa": VOWELS[position // 3] if vowel else None,
                        "is_vowel": vowel,
                        "start": start,
                        "end": start + 0.06 + 0.05 * rng.random(),
                        "n_frames": int(rng.integers(6, 14)) if vowel else 0,
                        "confidence": 1.0 if vowel else np.nan,
                    }
                )
    reason = "no face in any of 60 frames"
    errors = [
        {
            "clip_id": f"{PAIR[1]}-{number}",
            "corpus": PAIR[1],
            "stage": "extract",
            "step": "track",
            "error_class": "face",
        }
        | {
            "reason": reason,
            "remedy": "look at the clip; exclude it or track it with OpenFace",
            "uri": f"birch/{number}.mp4",
        }
        for number in (97, 98)
    ]
    return pd.DataFrame(clips), pd.DataFrame(segments), pd.DataFrame(errors)


def predictions(rng: np.random.Generator) -> pd.DataFrame:
    """Predictions of a whole matrix, as the evaluation joins them."""
    skill = {"none": 0.35, "ag": 0.5, "hard_ag": 0.42, "pa": 0.45, "random_clusters": 0.36}
    parts = []
    for source in PAIR:
        for target in PAIR:
            for method in skill if source != target else ["none"]:
                chance = skill[method] + 0.25 * (source == target)
                for seed in range(3):
                    emotion = np.repeat(EMOTIONS, 24)
                    hit = rng.random(96) < chance
                    predicted = np.where(hit, emotion, rng.choice(EMOTIONS, 96))
                    part = pd.DataFrame({"emotion": emotion, "predicted": predicted})
                    part["speaker"] = [f"{target}-{number % 6}" for number in range(96)]
                    for name in EMOTIONS:
                        part[f"probability_{name}"] = np.where(predicted == name, 0.7, 0.1)
                    parts.append(
                        part.assign(direction=f"{source}->{target}", method=method, seed=seed, fold=0, task="all")
                    )
    return pd.concat(parts, ignore_index=True)


def whole_report(seed: int = 0, n_segments: int = 6000) -> ReportInputs:
    """Inputs with every section filled."""
    rng = np.random.default_rng(seed)
    frame = segment_columns(n_segments, rng)
    gestures, corpora, emotions = (frame[name].to_numpy() for name in ("gesture", "corpus", "emotion"))
    mouths = Ragged.from_list([mouth_movement(gesture, rng) for gesture in gestures])
    counts = count_gestures(
        gestures, corpora, PAIR, frame["speaker"].to_numpy(), frame["vowel"].to_numpy(), emotions, N_CLUSTERS
    )
    overlap = overlap_table(counts, n_permutations=200, n_bootstrap=200)
    chosen = frame["vowel"].to_numpy() == "ɛ"
    sanity = sanity_curves(
        mouths.take(chosen), gestures[chosen], corpora[chosen], choose_pair_of_clusters(counts.by_corpus("ɛ")), PAIR
    )
    clips, segments, errors = clip_tables(rng)
    decided = predictions(rng)
    styles = pd.DataFrame(
        [(emotion, corpus, f"{corpus}-{n}", language, n % 2) for emotion in EMOTIONS
         for corpus, language in zip(PAIR, ("en", "de"), strict=True) for n in range(6)],
        columns=["emotion", "corpus", "speaker", "language", "community"],
    )  # fmt: skip
    styles[["clips", "modularity", "silhouette"]] = 4, 0.41, 0.22
    styles[["x", "y"]] = rng.normal(size=(len(styles), 2))
    edges = pd.DataFrame(
        [(styles["emotion"][n], n, n + 2, 0.5) for n in range(len(styles) - 2) if n % 12 < 10],
        columns=["emotion", "first", "second", "weight"],
    )
    manifests = {
        stage: {
            "wall_seconds": seconds,
            "peak_memory_bytes": memory * 2**20,
            "tables": {"rows": {"rows": rows}},
            "fingerprint": f"{0xA3F1C27B90DE + 7919 * number:012x}",
            "created": "2025-03-01T12:00:00Z",
            "python": "3.11.7",
        }
        for number, (stage, seconds, memory, rows) in enumerate(
            [("extract/alder", 61.2, 812, 1920), ("cluster", 8.4, 390, 6000), ("evaluate", 3725.0, 2410, 1152)]
        )
    }
    return ReportInputs(
        name="Made-up corpora",
        created="2025-03-01T12:30:00Z",
        notes=["Everything on this page is invented: it shows the report, not a finding."],
        corpora=collect.corpora_table(clips, errors),
        exclusions=collect.exclusions_table(errors),
        problems=pd.DataFrame(
            [{"corpus": "birch", "uri": "birch/readme.mp4", "reason": "not a video", "remedy": "remove the file"}]
        ),
        tracking=collect.tracking_table(clips, segments),
        elbow=pd.DataFrame(
            {
                "clusters": range(2, 13),
                "inertia": 900 * np.exp(-np.arange(11) / 3) + 200,
                "silhouette": 0.3 + 0.1 * np.sin(np.arange(11) / 2),
                "chosen": [k == N_CLUSTERS for k in range(2, 13)],
            }
        ),
        atlas=collect.atlas(mouths, gestures, corpora, frame["vowel"].to_numpy(), emotions, N_CLUSTERS, PAIR),
        pair=PAIR,
        overlap=overlap,
        vowel_clusters=vowel_cluster_table(counts),
        vowel_emotions=vowel_emotion_table(overlap),
        sanity=sanity,
        sanity_vowel="ɛ",
        association=association_table(
            gestures, frame["acoustic"].to_numpy(), emotions, N_CLUSTERS, N_ACOUSTIC, n_permutations=200
        ),
        acoustic_clusters=acoustic_clusters_per_gesture(
            gestures, frame["acoustic"].to_numpy(), emotions, N_CLUSTERS, N_ACOUSTIC
        ),
        clips=[
            made_up_clip(clips.iloc[number], segments[segments["clip_id"] == clips.iloc[number]["clip_id"]], rng)
            for number in (0, 97)
        ],
        results=summarise(decided, draws=300),
        confusion=confusion_table(decided),
        styles=styles,
        style_edges=edges,
        encoder="embedded",
        encoder_pretrained=False,
        normalisation="corpus",
        seeds=[0, 1, 2],
        leak_checks=pd.DataFrame(
            {
                "check": ["speakers of train, dev and test are disjoint", "shuffled target labels change no weight"],
                "passed": [True, True],
                "detail": ["12 speakers, 1 fold", "alder->birch, ag, seed 0"],
            }
        ),
        config=CONFIG,
        fingerprints=collect.fingerprints_table(manifests),
        versions={"agser": "0.1", "torch": "2.13.0", "ray": "2.60.0"},
        costs=collect.costs_table(manifests),
        truth=pd.DataFrame(
            {
                "quantity": [
                    "phone boundary error, median",
                    "lip opening, correlation",
                    "gestures, adjusted Rand index",
                ],
                "value": [14.2, 0.984, 0.87],
                "unit": ["ms", "", ""],
                "wanted": ["below 25", "at least 0.9", "at least 0.8"],
                "n": [3456, 192, 1152],
            }
        ),
    )


def made_up_clip(clip: pd.Series, segments: pd.DataFrame, rng: np.random.Generator):
    """A clip of the explorer whose sound swells with the lip opening."""
    n = int(SAMPLING_RATE * clip["duration"])
    loudness = np.abs(np.sin(np.arange(n) / SAMPLING_RATE * 8)) * 0.4
    gestures = segments[segments["is_vowel"]][["position"]].assign(gesture=rng.integers(0, N_CLUSTERS, 6))
    return collect.clip_view(clip, loudness * rng.standard_normal(n).clip(-2, 2) / 2, SAMPLING_RATE, segments, gestures)
