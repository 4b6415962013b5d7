"""The gesture atlas as drawings: closed lip contours as SVG paths, moved by `templates/mouths.js`.

Legend: P points of normalised time; a contour is [12, 2] in the units of the drawing, y downwards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from agser_core.report.inputs import Atlas
from agser_core.report.words import percent

#: Drawing units of one inter-pupil distance.
SCALE = 100
#: Moments of normalised time drawn as still frames, for paper and for pages without scripts.
STILLS = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True)
class Mouth:
    """One gesture ready to be drawn.

    Attributes:
        gesture, members: number and size.
        frames: path of the mean contour at each of P times.
        bands: path between mean - sd and mean + sd at each of P times, to be filled even-odd.
        stills: the paths (mean, band) at the moments of `STILLS`.
        description: the movement in words.
    """

    gesture: int
    members: int
    frames: list[str]
    bands: list[str]
    stills: list[tuple[str, str]]
    description: str


def view_box(atlas: Atlas) -> str:
    """The viewBox that holds all gestures, the same for all so that sizes compare."""
    filled = _filled(atlas)
    reach = np.abs(_points(atlas)) + SCALE * atlas.deviation[filled].reshape(len(filled), -1, 12, 2)
    across, down = (1.08 * reach[..., axis].max(initial=1) for axis in (0, 1))
    return f"{-across:.1f} {-down:.1f} {2 * across:.1f} {2 * down:.1f}"


def rest(atlas: Atlas) -> str:
    """The mean mouth over all gestures and times: drawn faintly behind each, as a ruler."""
    return outline(_points(atlas).mean(axis=(0, 1)))


def _points(atlas: Atlas) -> np.ndarray:
    """Contours of the filled gestures round the common centre, [K', P, 12, 2]."""
    points = SCALE * atlas.mean[_filled(atlas)].reshape(-1, atlas.mean.shape[1], 12, 2)
    return points - points.mean(axis=(0, 1, 2)) if len(points) else points


def _filled(atlas: Atlas) -> np.ndarray:
    """Gestures that have members."""
    return np.flatnonzero(~np.isnan(atlas.mean).any(axis=(1, 2)))


def mouths(atlas: Atlas) -> list[Mouth]:
    """Every gesture that has members."""
    drawn = []
    for gesture, movement in zip(_filled(atlas), _points(atlas), strict=True):
        spread = atlas.deviation[gesture].reshape(movement.shape) * SCALE
        frames = [outline(contour) for contour in movement]
        bands = [band(contour, reach) for contour, reach in zip(movement, spread, strict=True)]
        stills = [round(moment * (len(frames) - 1)) for moment in STILLS]
        members = int(atlas.table.loc[atlas.table["gesture"] == gesture, "members"].iloc[0])
        shown = [(frames[index], bands[index]) for index in stills]
        drawn.append(Mouth(int(gesture), members, frames, bands, shown, describe(movement / SCALE)))
    return drawn


def outline(contour: np.ndarray) -> str:
    """A closed smooth path through the points of a contour (Catmull-Rom as cubic Bezier curves).

    Corners of the mouth (the first and the seventh point) stay sharp.
    """
    n = len(contour)
    sharp = {0, n // 2}
    before, after = np.roll(contour, 1, axis=0), np.roll(contour, -1, axis=0)
    tangent = (after - before) / 6
    tangent[list(sharp)] = 0
    parts = [f"M{_pair(contour[0])}"]
    for index in range(n):
        end = (index + 1) % n
        parts.append(
            f"C{_pair(contour[index] + tangent[index])} {_pair(contour[end] - tangent[end])} {_pair(contour[end])}"
        )
    return "".join(parts) + "Z"


def band(contour: np.ndarray, spread: np.ndarray) -> str:
    """The ring of one standard deviation to either side, measured along the ray from the middle of the mouth."""
    middle = contour.mean(axis=0)
    ray = contour - middle
    ray /= np.maximum(np.linalg.norm(ray, axis=1, keepdims=True), 1e-9)
    reach = np.linalg.norm(ray * spread, axis=1, keepdims=True) * ray
    return outline(contour + reach) + outline(contour - reach)


def _pair(point: np.ndarray) -> str:
    return ",".join(f"{value:.1f}" for value in np.round(point, 1) + 0.0)  # + 0.0: no "-0.0"


def describe(movement: np.ndarray) -> str:
    """A movement in words: opening and width at the start, at the extreme and at the end.

    Args:
        movement: [P, 12, 2] in inter-pupil units; point 3 is the upper middle, 9 the lower middle, 0 and 6 the corners.
    """
    opening = movement[:, 9, 1] - movement[:, 3, 1]
    width = np.abs(movement[:, 6, 0] - movement[:, 0, 0])
    turn = int(np.argmax(np.abs(opening - (opening[0] + opening[-1]) / 2)))
    turning = f" via {opening[turn]:.2f}" if 0 < turn < len(opening) - 1 else ""
    return f"Height {opening[0]:.2f}{turning} to {opening[-1]:.2f}, width {width[0]:.2f} to {width[-1]:.2f}"


def who(atlas: Atlas, gesture: int, column: str, n: int = 4) -> list[tuple[str, str]]:
    """The phones or emotions that make a gesture most: (name, per cent of its members)."""
    shares = atlas.phones if column == "phone" else atlas.emotions
    own = shares[shares["gesture"] == gesture].head(n)
    return [(name, percent(share, 0)) for name, share in zip(own[column], own["share"], strict=True)]
