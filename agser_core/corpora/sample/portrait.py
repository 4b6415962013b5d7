"""One invented person: the shape of the face and everything painted, from one seed. Every colour is procedural."""

from dataclasses import dataclass

import cv2
import numpy as np

from agser_core.corpora.sample.mesh import (
    BROWS,
    CHEEKS,
    CHIN,
    EYES,
    FOREHEAD,
    HAIRLINE,
    LIPS_BETWEEN,
    LIPS_INNER,
    LIPS_OUTER,
    NOSE_TIP,
    OVAL,
    neutral_mesh,
)

TEXTURE_SCALE = 22.0  # texture pixels per mesh unit
HAIR_COLOURS = np.array([(40, 28, 22), (82, 54, 34), (25, 22, 24), (120, 84, 48), (110, 105, 100), (96, 44, 24)])
IRIS_COLOURS = np.array([(70, 45, 25), (85, 110, 120), (80, 95, 60), (50, 35, 25)])
GRAIN_MARGIN = 32  # pixels by which the grain is larger than the picture
_ANGLES = np.linspace(0, 2 * np.pi, 72, endpoint=False)
_CIRCLE = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], 1)
# Soft shadows: vertices whose mean is the place, rise, weight, radii; in mesh units of about 1 cm.
_SHADOWS = [([2], -0.25, 0.4, 1.0, 0.28), ([164], 0, 0.22, 0.22, 0.4), ([18], -0.1, 0.35, 1.3, 0.25)] + [
    spot
    for eye, fold, nostril in zip(EYES, (206, 426), ([98, 97], [327, 326]))
    for spot in (
        (eye, 0.25, 0.28, 1.5, 0.75),
        (eye[8:9], 0.3, 0.26, 0.5, 0.7),
        (eye, -0.8, 0.15, 1.1, 0.22),
        ([fold], 0, 0.18, 0.3, 0.7),
        (nostril, 0.12, 1.0, 0.3, 0.12),
    )
]


@dataclass(frozen=True)
class Portrait:
    """What stays the same in every picture of a person.

    vertices: float64 [468, 3], mouth closed. texture: uint8 [h, w, 4], and texture_places [468, 2] in it. skin: RGB.
    light: unit vector towards the lamp. wall: uint8 [H, W, 3], with the shirt on it; behind: uint8 [H, W], 0 where the
    shirt hides the head. layer: uint8 [H, W, 4] hair, neck and ears for the head at rest. grain: int8.
    """

    vertices: np.ndarray
    texture: np.ndarray
    texture_places: np.ndarray
    skin: np.ndarray
    light: np.ndarray
    wall: np.ndarray
    behind: np.ndarray
    layer: np.ndarray
    grain: np.ndarray


def paint_portrait(seed: int, gender: str, size: tuple[int, int], project) -> Portrait:
    """Invent a person. gender: "female" or "male". size: width, height. project: vertices -> [n, 2] pixels at rest."""
    rng = np.random.default_rng(seed)
    female = gender == "female"
    vertices = _shape(rng, female)
    skin = np.array((232, 190, 165)) - rng.uniform() * np.array((96, 96, 93)) + rng.normal(0, 3, 3)
    hair = HAIR_COLOURS[rng.integers(len(HAIR_COLOURS))] * rng.uniform(0.85, 1.15)
    light = np.array([rng.uniform(-0.6, 0.6), rng.uniform(0.25, 0.6), 1.0])
    corner = [vertices[:, 0].min() - 0.5, vertices[:, 1].max() + 0.5]
    texture_places = (vertices[:, :2] - corner) * [TEXTURE_SCALE, -TEXTURE_SCALE]
    texture = _paint_skin(rng, texture_places, skin, hair, female)
    wall, behind, layer = _paint_surroundings(rng, project(vertices), size, skin, hair, female, light[0])
    grain = rng.normal(0, rng.uniform(0.7, 1.5), (size[1] + GRAIN_MARGIN, size[0] + GRAIN_MARGIN))
    return Portrait(
        vertices,
        texture,
        texture_places,
        skin,
        light / np.linalg.norm(light),
        wall,
        behind,
        layer,
        np.round(grain).astype(np.int8),
    )


def _bump(points, centre, radius) -> np.ndarray:
    """Gaussian weight of points round a centre; the radius may differ per axis."""
    return np.exp(-0.5 * (((points - np.asarray(centre)) / radius) ** 2).sum(-1))


def _noise(rng, shape, sigma_x: float, sigma_y: float) -> np.ndarray:
    """Unit-variance Gaussian noise, blurred, float32 [h, w, 1]."""
    field = cv2.GaussianBlur(rng.normal(size=shape).astype(np.float32), (0, 0), sigma_x, sigmaY=sigma_y)[..., None]
    return field / field.std()


def _mask(shape, points, blur: float, line: int = 0) -> np.ndarray:
    """Soft mask 0 .. 1 of a polygon in pixels, or of an open line of the given thickness."""
    canvas, fixed = np.zeros(shape, np.uint8), [np.round(points * 16).astype(np.int32)]
    if line:
        cv2.polylines(canvas, fixed, False, 255, line, cv2.LINE_AA, 4)
    else:
        cv2.fillPoly(canvas, fixed, 255, cv2.LINE_AA, 4)
    return cv2.GaussianBlur(canvas, (0, 0), blur).astype(np.float32) / 255


def _mix(picture, colour, weight) -> np.ndarray:
    """Blend a colour or a picture into a picture by a weight mask [h, w]."""
    return picture + (np.asarray(colour, np.float32) - picture) * weight[..., None].astype(np.float32)


def _shape(rng, female: bool) -> np.ndarray:
    """The neutral mesh, changed smoothly: jaw, nose, mouth, eyes, and the whole head."""
    vertices = neutral_mesh()[0].copy()
    draw = rng.uniform
    near_nose = _bump(vertices, vertices[NOSE_TIP], [2, 1.8, 3])[:, None]
    near_mouth = _bump(vertices, vertices[[61, 291]].mean(0), [4, 1.6, 9])[:, None]
    jaw = draw(-0.12, 0.0) if female else draw(-0.02, 0.10)
    vertices[:, 0] *= 1 + jaw * np.clip(-vertices[:, 1] / 8, 0, 1.2)
    vertices += near_nose * (
        vertices * [draw(-0.2, 0.1 if female else 0.2), 0, 0] + [0, draw(-0.4, 0.3), draw(-0.5, 0.3)]
    )
    vertices += near_mouth * (vertices * [draw(-0.08, 0.08), 0, 0] + [0, draw(-0.25, 0.25), 0])
    line, fuller = vertices[LIPS_INNER, 1].mean(), draw(1.0, 1.2) if female else draw(0.85, 1.05)
    lips = [*LIPS_OUTER, *LIPS_BETWEEN[0], *LIPS_BETWEEN[1]]
    vertices[lips, 1] = line + fuller * (vertices[lips, 1] - line)
    grow, apart, taller = draw(0.0, 0.2), draw(-0.12, 0.12), draw(0.15, 0.4) + 0.1 * female
    for ring, side in zip(EYES, (-1, 1)):
        from_eye = vertices[:, :2] - vertices[ring].mean(0)[:2]
        weight = _bump(from_eye, 0, 1.5)[:, None]
        vertices[:, :2] += weight * (from_eye * [grow, grow + taller] + [side * apart, 0])
    return vertices * [draw(0.88, 0.98), draw(0.97, 1.06), draw(0.9, 1.1)]


def _paint_skin(rng, places, skin, hair, female: bool) -> np.ndarray:
    """Colours of the face at rest with soft shadows painted in, and how far they cover what is behind: RGBA."""
    unit, down = TEXTURE_SCALE, np.array([0, TEXTURE_SCALE])
    shape = tuple(np.ceil(places.max(0)[::-1] + 0.5 * unit).astype(int))
    grid = np.dstack(np.meshgrid(*map(np.arange, shape[::-1])))
    hairs = _noise(rng, shape, 1, 4)[..., 0]
    art = (skin + _noise(rng, shape, 14, 14) * 3 + _noise(rng, shape, 1.2, 1.2) * 1.5).astype(np.float32)
    for rosy in (50, 280, 1):
        art = _mix(art, skin * [1.0, 0.8, 0.76], 0.3 * _bump(grid, places[rosy], [1.5 * unit, 1.1 * unit]))
    if not female and rng.uniform() < 0.5:
        beard = _bump(grid, places[CHIN], [4.2 * unit, 2.2 * unit]) + _bump(grid, places[164], [1.8 * unit, 0.5 * unit])
        art = _mix(art, 0.55 * skin + 0.45 * hair, 0.4 * np.clip(beard, 0, 1) * (1 + 0.15 * hairs))
    for where, rise, weight, radius_x, radius_y in _SHADOWS:
        shade = weight * _bump(grid, places[where].mean(0) - rise * down, [radius_x * unit, radius_y * unit])
        art = _mix(art, skin * [0.46, 0.34, 0.31], np.clip(shade, 0, 1))
    art = _paint_lips(art, places, skin, hairs, female)
    iris = IRIS_COLOURS[rng.integers(len(IRIS_COLOURS))]
    for brow, ring in zip(BROWS, EYES):
        art = _paint_eye(art, places[ring], skin, iris, female)
        middle = places[brow].mean(0)
        outline = middle + (places[brow] - middle) * [1, 0.6 if female else 0.9]
        art = _mix(art, hair * 0.7 + 6, np.clip(_mask(shape, outline, 2.2) * (0.75 + 0.12 * hairs), 0, 1))
    edge = _mask(shape, places[HAIRLINE] - 0.2 * down, 5, line=int(rng.integers(7, 19))) * (1 + 0.5 * hairs)
    art = _mix(art, hair * (1 + 0.1 * hairs[..., None]), np.clip(edge, 0, 1))
    cover = cv2.erode(_mask(shape, places[OVAL], 1.0), np.ones((3, 3)), iterations=2)
    return np.dstack([np.clip(art, 0, 255), 255 * cv2.GaussianBlur(cover, (0, 0), 1.5)]).astype(np.uint8)


def _paint_lips(art, places, skin, hairs, female: bool) -> np.ndarray:
    shape = art.shape[:2]
    tint = skin * ([0.88, 0.52, 0.54] if female else [0.84, 0.56, 0.55])
    art = _mix(art, tint * (1 + 0.04 * hairs[..., None]), 0.9 * _mask(shape, places[LIPS_OUTER], 1.2))
    upper = places[LIPS_OUTER[:11] + LIPS_INNER[10::-1]]
    art = _mix(art, art * 0.78, 0.6 * _mask(shape, upper, 1.5))
    gleam = places[[17]].mean(0) * 0.55 + places[[14]].mean(0) * 0.45 + _CIRCLE * TEXTURE_SCALE * [0.5, 0.1]
    art = _mix(art, art * 1.25, 0.5 * _mask(shape, gleam, 3))
    return _mix(art, skin * 0.22, 0.75 * _mask(shape, places[LIPS_INNER[:11]], 1.0, line=2))


def _paint_eye(art, lids, skin, iris, female: bool) -> np.ndarray:
    """lids [16, 2]: outer corner, upper lid, inner corner, lower lid."""
    shape, down = art.shape[:2], np.array([0, TEXTURE_SCALE])
    centre, eye = lids.mean(0) - 0.06 * down, np.full_like(art, 212)
    for ink, radius, up in ((iris * 0.5, 0.52, 0), (iris * 1.25, 0.44, 0), (9, 0.2, 0), (255, 0.09, 0.16)):
        eye = _mix(eye, ink, _mask(shape, centre + TEXTURE_SCALE * (radius * _CIRCLE - [0, up]), 0.9))
    eye = _mix(eye, eye * 0.35, 0.75 * _mask(shape, lids[:9], 3, line=6))  # shadow of the upper lid
    art = _mix(art, eye, _mask(shape, lids, 0.7))
    lashes = 4 if female else 3
    for line, thickness, weight in ((lids[:9], lashes, 0.85), (lids[8:], 1, 0.35), (lids[1:8] - 0.34 * down, 2, 0.3)):
        art = _mix(art, skin * 0.15, weight * _mask(shape, line, 0.9, thickness))  # lashes, lower lid, crease
    return art


def _paint_surroundings(rng, rest, size, skin, hair, female: bool, lamp_side: float):
    """Wall with the shirt, the share of the head in front of it, and the layer with hair, neck and ears."""
    width, height = size
    shape, chin, half_width = (height, width), rest[CHIN], np.ptp(rest[list(CHEEKS), 0]) / 2
    ramp = np.linspace(-18, 18, width)[:, None] + np.zeros((height, 1, 3))
    wall = rng.uniform(90, 190) + rng.normal(0, 8, 3) + rng.choice([-1, 1]) * ramp
    wall = wall + 4 * _noise(rng, shape, 40, 40)
    contour = np.array([(0.6, 0.25), (0.95, 0.4), (2.1, 0.7), (2.6, 1.3), (2.7, 4.0)])
    if female:
        contour *= [0.88, 1.0]
    shirt_cover = _mask(shape, chin + half_width * np.r_[contour * [-1, 1], contour[::-1]], 1.2)
    shirt = rng.uniform(30, 150, 3) * (1 + 0.05 * _noise(rng, shape, 3, 3)) + ramp
    wall = _mix(wall.astype(np.float32), shirt, shirt_cover)

    layer = np.float32(hair * (1.05 + 0.2 * _noise(rng, shape, 1, 9)))
    skull, reach = rest[[FOREHEAD, *CHEEKS, FOREHEAD]].mean(0), rng.uniform(1.05, 1.2)
    length = rng.choice([1.2, 2.0, 2.2]) if female else 0.45
    sides = np.array([(-1.1, 0), (1.1, 0), (1.2, length / 2), (1, length), (-1, length), (-1.2, length / 2)])
    cover = np.maximum(
        _mask(shape, skull + _CIRCLE * [1.12 * half_width, reach * half_width], 2),
        _mask(shape, skull + half_width * sides, 2),
    )
    cover = np.clip(cover * (1 + 0.35 * _noise(rng, shape, 1, 5)[..., 0] * (1 - cover)), 0, 1)
    throat_width = 0.58 if female else 0.68
    throat = np.array([(-1, -0.7), (1, -0.7), (1, 0.2), (1.36, 0.55), (0, 0.95), (-1.36, 0.55), (-1, 0.2)])
    parts = [chin + half_width * throat * [throat_width, 1]]
    if not female:
        parts += [rest[ear] + _CIRCLE * [0.13 * half_width, 0.3 * half_width] for ear in CHEEKS]
    for part in (_mask(shape, points, 1.5) for points in parts):
        layer = _mix(layer, skin * 0.74 + 0.7 * ramp * np.sign(lamp_side), part)
        cover = np.maximum(cover, part)
    below_chin = chin + _CIRCLE * half_width * [0.8, 0.3]
    layer = _mix(layer, layer * [0.66, 0.58, 0.56], 0.8 * _mask(shape, below_chin, 0.08 * half_width))
    layer = np.dstack([np.clip(layer, 0, 255), 255 * cover]).astype(np.uint8)
    return np.clip(wall, 0, 255).astype(np.uint8), np.uint8(255 - 255 * shirt_cover), layer
