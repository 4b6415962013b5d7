"""A corpus of noise that a pretrained encoder has heard, with the frames of one of its layers, through the tables."""

import numpy as np

from agser_core import tables
from agser_core.corpora.clip import CLASSES
from agser_core.phones.interval import Phone
from agser_core.ser.dataset import SpeechData
from agser_core.ser.from_tables import from_tables, with_frames
from agser_core.speech import load_encoder, pool
from agser_core.speech.pooling import frames_of


def spoken_corpus(
    folder: str, corpus: str, frame_layer: int, layers: list[int] | None = None, clips: int = 12, seed: int = 0
) -> SpeechData:
    """Clips of 0.1 to 1.5 s of three speakers, phones on a grid of 10 ms, some shorter than a frame."""
    encoder, draw = load_encoder(folder, layers, "cpu", frame_layer), np.random.default_rng([seed, len(corpus)])
    rows = {"clips": [], "segments": [], "phone_vectors": [], "frames": []}
    for number in range(clips):
        seconds = draw.uniform(0.1, 1.5)
        waveform = 0.1 * draw.standard_normal(int(seconds * 16000)).astype(np.float32)
        ((vectors, frames),) = encoder.encode_with_frames([waveform])
        cuts = np.unique(np.append(draw.integers(0, int(seconds * 100), size=draw.integers(2, 12)), 0)) / 100
        phones = [
            Phone(("AA", "IY", "UW")[draw.integers(3)], start, end)
            for start, end in zip(cuts, [*cuts[1:], seconds], strict=True)
        ]
        clip_id = f"{corpus}-{number}"
        rows["clips"].append(
            {"clip_id": clip_id, "corpus": corpus, "speaker": f"{corpus}-{number % 3}", "emotion": CLASSES[number % 4]}
        )
        pooled = pool(vectors, encoder.frame_rate, phones).astype(np.float16)
        for position, (phone, vector) in enumerate(zip(phones, pooled, strict=True)):
            key = {"clip_id": clip_id, "position": position}
            segment = {"phone": phone.label, "is_vowel": True, "n_frames": 0, "start": phone.start, "end": phone.end}
            rows["segments"].append(key | segment)
            rows["phone_vectors"].append(key | {"vector": vector.ravel()})
        first, stop = frames_of(phones, len(frames), encoder.frame_rate).T
        values = frames.astype(np.float16).ravel()
        rows["frames"].insert(
            number // 2, {"clip_id": clip_id, "n_frames": len(frames), "frames": values, "first": first, "stop": stop}
        )  # in another order than the clips
    made = {name: tables.from_rows(rows[name], getattr(tables, name.upper())) for name in rows}
    shape = (encoder.n_layers, encoder.dimension)
    data = from_tables(made["clips"], made["segments"], made["phone_vectors"], None, shape)
    return with_frames(data, made["frames"], folder, layers, frame_layer)
