"""The face of nobody: a software-rendered talking head that a face tracker can follow.

    face = Face(seed=3, gender="female", size=(480, 360))
    rgb = face.picture(lips=(0.2, 0.05, 0.0), pose=(2.0, -1.0, 0.5))

The lips are given as (opening, width, rounding). opening: gap between the inner lips in inter-ocular distances,
0 .. 0.35. width: relative change of the mouth's width, -0.1 .. 0.15. rounding: narrowing and protrusion, 0 .. 1.
"""

import cv2
import numpy as np

from agser_core.corpora.sample.mesh import CHEEKS, EYES, HAIRLINE, LIPS_BETWEEN, LIPS_INNER, LIPS_OUTER, neutral_mesh
from agser_core.corpora.sample.portrait import GRAIN_MARGIN, paint_portrait
from agser_core.corpora.sample.raster import add_grain, draw_mesh, lay_over

_CAMERA = 55.0  # mesh units from the head
_VIEW_HEIGHT = 28.0  # mesh units that the picture's height shows
_NECK = np.array([0, -8, -4.0])  # the head turns about it
_OUTLINE = HAIRLINE[::2] + [*CHEEKS, 132, 361]  # vertices that the jaw does not move: hair and ears follow them
_SOFTNESS = 0.55  # blur of the lens, pixels
_CAVITY, _TONGUE, _TEETH = (44, 18, 20), (76, 32, 34), (192, 182, 168)
_LIP_RINGS = np.array([LIPS_OUTER, *LIPS_BETWEEN, LIPS_INNER])
ROUND_NARROWING = 0.4  # share of the mouth's width that full rounding takes away


class Face:
    """One person before the camera. Pictures depend on the arguments only: same arguments, same bytes."""

    def __init__(self, seed: int, gender: str, size: tuple[int, int] = (480, 360)):
        """seed and gender ("female", "male") invent the person. size: width and height in pixels."""
        self.size = size
        self._portrait = paint_portrait(seed, gender, size, lambda vertices: self._project(vertices, (0, 0, 0))[0])
        self._rest = self._project(self._portrait.vertices, (0, 0, 0))[0]
        self._triangles = neutral_mesh()[1]
        self._mouth = _MouthMotion(self._portrait.vertices)
        self._nearest = np.empty(size[::-1], np.float32)

    def picture(
        self, lips=(0.0, 0.0, 0.0), pose=(0.0, 0.0, 0.0), lamp: float = 0.0, gain: float = 1.0, number: int = 0
    ) -> np.ndarray:
        """Draw one picture, uint8 RGB [height, width, 3].

        lips: opening, width, rounding (see the module). pose: yaw, pitch and roll in degrees, up to 10. lamp: how far
        the lamp has moved sideways, in radians. gain: exposure, about 1. number: of the frame, picks the grain.
        """
        person, (width, height) = self._portrait, self.size
        places, turned = self._project(self._mouth.move(*lips), pose)
        layer = cv2.warpAffine(person.layer, _similarity(self._rest[_OUTLINE], places[_OUTLINE]), self.size)
        picture = np.empty((height, width, 3), np.uint8)
        lay_over(picture, person.wall, layer, person.behind, gain)
        self._draw_cavity(picture, places, gain)
        draw_mesh(
            picture,
            self._nearest,
            places,
            turned[:, 2].copy(),
            self._triangles,
            person.texture_places,
            self._light(turned, lamp) * gain,
            person.texture,
        )
        picture = cv2.GaussianBlur(picture, (3, 3), _SOFTNESS)
        down, right = np.random.default_rng(number).integers(GRAIN_MARGIN, size=2)
        add_grain(picture, person.grain, down, right)
        return picture

    def _project(self, vertices: np.ndarray, pose) -> tuple[np.ndarray, np.ndarray]:
        """Turn about the neck, then perspective: pixels [n, 2] and turned vertices [n, 3]."""
        yaw, pitch, roll = np.radians(pose)
        turn = np.eye(3)
        for angle, (first, second) in ((yaw, (2, 0)), (pitch, (1, 2)), (roll, (0, 1))):
            about = np.eye(3)
            about[first, first] = about[second, second] = np.cos(angle)
            about[second, first], about[first, second] = np.sin(angle), -np.sin(angle)
            turn = about @ turn
        turned = (vertices - _NECK) @ turn.T + _NECK
        width, height = self.size
        scale = height / _VIEW_HEIGHT * _CAMERA / (_CAMERA - turned[:, 2:])
        return turned[:, :2] * [1, -1] * scale + [width / 2, height * 0.42], turned

    def _light(self, turned: np.ndarray, lamp: float) -> np.ndarray:
        """Light on each vertex, RGB [n, 3]: sky, and a lamp that wraps round as light scatters in skin."""
        corners = turned[self._triangles]
        facets = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals = np.zeros_like(turned)
        for corner in range(3):
            for axis in range(3):
                normals[:, axis] += np.bincount(self._triangles[:, corner], facets[:, axis], len(turned))
        normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
        x, y, z = self._portrait.light
        direction = (x * np.cos(lamp) + z * np.sin(lamp), y, z * np.cos(lamp) - x * np.sin(lamp))
        lit = np.clip((normals @ direction + 0.35) / 1.35, 0, 1)[:, None]
        return 0.42 + 0.06 * normals[:, 1:2] + 0.72 * lit + lit * (1 - lit) * [0.16, -0.04, -0.08]

    def _draw_cavity(self, picture: np.ndarray, places: np.ndarray, gain: float) -> None:
        """The inside of the mouth, drawn before the face and larger than its opening, so that no seam shows."""
        inner, outer = places[LIPS_INNER], places[LIPS_OUTER]
        around = (inner + outer) / 2
        around[[0, 10]] = inner[[0, 10]]
        _fill(picture, around, _CAVITY, gain)
        wide, gap = np.linalg.norm(inner[10] - inner[0]), np.linalg.norm(inner[5] - inner[15])
        down = (inner[15] - inner[5]) / (gap + 1e-9)
        if gap > 0.08 * wide:
            tongue = np.r_[inner[12:19], inner[18:11:-1] - 0.3 * gap * down]
            _fill(picture, tongue, _TONGUE, gain)
        teeth = np.r_[around[2:9], (inner[2:9] + min(0.11 * wide, 0.4 * gap) * down)[::-1]]
        _fill(picture, teeth, _TEETH, gain)


class _MouthMotion:
    """Moves lips and jaw of a face at rest; what does not depend on the command is worked out once."""

    def __init__(self, rest: np.ndarray):
        self._rest = rest
        eyes = [rest[ring].mean(0) for ring in EYES]
        self._eye_distance = np.linalg.norm(eyes[1] - eyes[0])
        centre, line = rest[[61, 291]].mean(0), rest[LIPS_INNER, 1].mean()
        half = np.ptp(rest[[61, 291], 0]) / 2
        half_inside = np.ptp(rest[[LIPS_INNER[0], LIPS_INNER[10]], 0]) / 2
        self._from_centre = rest[:, 0] - centre[0]
        arch = np.clip(1 - (self._from_centre / half_inside) ** 2, 0, 1) ** 0.7
        jaw = np.clip((line + 0.2 - rest[:, 1]) / 1.2, 0, 1) * np.clip((rest[:, 2] + 3.5) / 4, 0, 1)
        jaw *= np.exp(-0.5 * (self._from_centre / 4.6) ** 4)
        self._down = np.outer(jaw, [0, -0.8, -0.18])  # of each vertex for 1 unit of the lower lip
        self._up = np.zeros_like(rest)  # of each vertex for 1 unit of the upper lip
        above = np.clip(1 - (rest[:, 1] - line) / 1.9, 0, 1) * (rest[:, 1] > line)
        self._up[:, 1] = 0.8 * above * arch
        self._thickness = np.zeros_like(rest)
        for rows, lips, direction in ((slice(1, 10), self._up, 1), (slice(11, 20), self._down, -1)):
            inner, outer = LIPS_INNER[rows], LIPS_OUTER[rows]
            for ring in _LIP_RINGS:
                lips[ring] = 0
                lips[ring[rows], 1] = direction * arch[inner]
            for ring, share in zip(_LIP_RINGS, (1, 2 / 3, 1 / 3, 0)):
                self._thickness[ring[rows], 1] = share * (rest[outer, 1] - rest[inner, 1])
        near = np.exp(-0.5 * (((rest[:, :2] - centre[:2]) / [1.25 * half, 1.1]) ** 2).sum(1))
        near[np.ravel(_LIP_RINGS)] = 1
        self._near = near[:, None]

    def move(self, opening: float, width: float, rounding: float) -> np.ndarray:
        gap = opening * self._eye_distance
        lift = (0.28 + 0.15 * rounding) * gap
        moved = self._rest + lift * self._up + (gap - lift) * self._down + 0.2 * rounding * self._thickness
        stretch = (1 + width) * (1 - ROUND_NARROWING * rounding) - 1
        moved += self._near * [0, 0, 0.7 * rounding]
        moved[:, 0] += stretch * self._near[:, 0] * self._from_centre
        return moved


def _similarity(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Least-squares turn, scale and shift [2, 3] between two sets of points in the plane (Umeyama 1991)."""
    one, two = before @ [1, 1j], after @ [1, 1j]
    centred = one - one.mean()
    factor = (np.conj(centred) @ two) / (np.conj(centred) @ centred).real
    shift = two.mean() - factor * one.mean()
    return np.array([[factor.real, -factor.imag, shift.real], [factor.imag, factor.real, shift.imag]])


def _fill(picture: np.ndarray, points: np.ndarray, colour, gain: float) -> None:
    fixed = np.round(points * 16).astype(np.int32)
    cv2.fillPoly(picture, [fixed], [min(255.0, channel * gain) for channel in colour], cv2.LINE_AA, 4)
