"""How every figure of the report is drawn: matplotlib to an SVG element that lies inside the page.

Ink is written as `currentColor`, so that a figure follows the page into dark mode and onto paper. Colours of data are
those of Okabe and Ito, which colour-blind readers can tell apart; no figure tells anything by colour alone.
"""

from __future__ import annotations

import html
import io
import re
from collections.abc import Callable
from dataclasses import dataclass

import matplotlib
import numpy as np
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure as Canvas

OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#7F7F7F", "#B8A800")
#: Stands for the page's own colour of text until the SVG is written.
INK = "#010203"
FADED = "#8a8f98"
HEAT = LinearSegmentedColormap.from_list("heat", ["#eef4f9", "#9ecae1", "#0072B2", "#08305c"])
_STYLE = {
    "svg.fonttype": "none",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "axes.linewidth": 0.6,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "lines.linewidth": 1.6,
}


@dataclass(frozen=True)
class Figure:
    """One drawing with its words: name fit for an anchor, caption below it, description for those who can't see it."""

    name: str
    svg: str
    caption: str


def canvas_of(
    width: float, height: float, rows: int = 1, columns: int = 1, **grid: object
) -> tuple[Canvas, np.ndarray]:
    canvas = Canvas(figsize=(width, height), layout="constrained")
    return canvas, canvas.subplots(rows, columns, squeeze=False, **grid)


def finish(canvas: Canvas, name: str, caption: str, description: str) -> Figure:
    """The canvas as an SVG element: own ids, inherited font, ink of the page, and a description."""
    file = io.StringIO()
    canvas.savefig(file, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg = file.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(\bid="|href="#|url\(#)', rf"\g<1>{name}-", svg)
    svg = re.sub(r"font: (?:bold )?([\d.]+)px [^;\"]+", r"font-size: \1px", svg)
    svg = svg.replace(INK, "currentColor")
    svg = re.sub(r'<svg ([^>]*?)width="([\d.]+)pt" height="[\d.]+pt"', _sized(name), svg, count=1)
    return Figure(
        name, svg.replace(">", f'><title id="{name}-title">{html.escape(description, quote=False)}</title>', 1), caption
    )


def _sized(name: str) -> Callable[[re.Match], str]:
    # A figure is as wide as drawn, narrower where the page is, but never so narrow that its text cannot be read.
    return lambda found: (
        f'<svg {found[1]}role="img" aria-labelledby="{name}-title" '
        f'style="width:{float(found[2]) * 4 / 3:.0f}px;min-width:{min(float(found[2]) * 4 / 3, 520):.0f}px"'
    )


def style() -> matplotlib.rc_context:
    """The settings of matplotlib under which all figures are drawn; the same inputs give the same bytes."""
    return matplotlib.rc_context({**_STYLE, "svg.hashsalt": "agser"})
