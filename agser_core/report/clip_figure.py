"""One clip of the explorer: waveform, phones, lip opening and gestures on one time axis."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from agser_core.report.drawing import FADED, INK, OKABE_ITO, Figure, canvas_of, finish
from agser_core.report.inputs import ClipView


def clip_figure(clip: ClipView, number: int) -> Figure:
    """The drawing of one clip; `number` makes its name unique."""
    canvas, axes = canvas_of(
        max(7.4, 2.6 * clip.duration),
        3.6,
        4,
        1,
        sharex=True,
        gridspec_kw={"height_ratios": [1.3, 0.4, 1.3, 0.4], "hspace": 0.02},
    )
    wave, phones, lips, gestures = axes[:, 0]
    time = np.linspace(0, clip.duration, len(clip.wave_low))
    wave.fill_between(time, clip.wave_low, clip.wave_high, color=FADED, linewidth=0)
    loudest = max(np.abs(clip.wave_low).max(initial=0), np.abs(clip.wave_high).max(initial=0), 1e-3)
    wave.set(ylim=(-loudest, loudest), yticks=[], ylabel="sound")
    lips.plot(clip.opening_times, clip.opening, color=OKABE_ITO[0])
    lips.set_ylabel("lip opening")
    lips.margins(y=0.15)
    _row(phones, clip.phones["label"], clip.phones, "phones")
    _row(
        gestures, [f"G{name}" for name in clip.gestures["gesture"]], clip.gestures, "gesture", clip.gestures["gesture"]
    )
    for row in clip.gestures.itertuples():
        lips.axvspan(row.start, row.end, color=OKABE_ITO[row.gesture % len(OKABE_ITO)], alpha=0.15, linewidth=0)
    gestures.set(xlabel="time, s", xlim=(0, clip.duration))
    for axis in (wave, phones, lips):
        axis.tick_params(bottom=False)
        axis.spines["bottom"].set_visible(False)
    said = f", “{clip.transcript}”" if clip.transcript else ""
    caption = f"{clip.clip_id} ({clip.corpus}{', ' + clip.emotion if clip.emotion else ''}{said})"
    heard = " ".join(map(str, clip.phones["label"]))
    moved = ", ".join(f"G{row.gesture} at {row.start:.2f} s" for row in clip.gestures.itertuples()) or "none"
    name = f"clip-{number}-{re.sub(r'[^A-Za-z0-9]+', '-', clip.clip_id)}"
    return finish(canvas, name, caption, f"{clip.duration:.1f} s. Phones: {heard}. Gestures: {moved}.")


def _row(axis: Axes, labels: list, intervals: pd.DataFrame, title: str, colours: pd.Series | None = None) -> None:
    """Boxes with a label each; without colours only their edges are drawn."""
    for number, (label, row) in enumerate(zip(labels, intervals.itertuples(), strict=True)):
        colour = FADED if colours is None else OKABE_ITO[colours.iloc[number] % len(OKABE_ITO)]
        axis.axvspan(row.start, row.end, facecolor=colour, alpha=0.12 if colours is None else 0.35, linewidth=0)
        axis.axvline(row.start, color=FADED, linewidth=0.6)
        axis.text((row.start + row.end) / 2, 0.5, label, ha="center", va="center", fontsize=8, color=INK, clip_on=True)
    axis.set(ylim=(0, 1), yticks=[])
    axis.set_ylabel(title, rotation=0, ha="right", va="center")
    axis.spines["left"].set_visible(False)
