"""The neutral face mesh under every face of the sample corpora: vertex numbers of the face tracker, closed mouth.

`neutral_mesh.json` beside this file holds it. It was derived, by `python -m agser_core.corpora.sample.mesh`, from the
tracker's own 468 landmarks of a public-domain picture that ships in scikit-image, averaged with their mirror image and
with the mouth closed. No mesh file of anybody else and no picture is kept. Axes: x to the face's left (the picture's
right), y up, z to the viewer; the eye centres are 6 units apart.
"""

import json
from functools import cache
from pathlib import Path

import numpy as np

# Lips run from one corner over the upper lip to the other corner and back below.
LIPS_OUTER = [61, 185, 40, 39, 37, 0, 267, 269, 270, 409, 291, 375, 321, 405, 314, 17, 84, 181, 91, 146]
LIPS_INNER = [78, 191, 80, 81, 82, 13, 312, 311, 310, 415, 308, 324, 318, 402, 317, 14, 87, 178, 88, 95]
# The two rings of the lips' red between the outer and the inner contour, in the same order, outer first.
LIPS_BETWEEN = (
    [76, 184, 74, 73, 72, 11, 302, 303, 304, 408, 306, 307, 320, 404, 315, 16, 85, 180, 90, 77],
    [62, 183, 42, 41, 38, 12, 268, 271, 272, 407, 292, 325, 319, 403, 316, 15, 86, 179, 89, 96],
)
# Eyes run from the outer corner over the upper lid to the inner corner and back below; first the one at the left of
# the picture.
EYES = (
    [33, 246, 161, 160, 159, 158, 157, 173, 133, 155, 154, 153, 145, 144, 163, 7],
    [263, 466, 388, 387, 386, 385, 384, 398, 362, 382, 381, 380, 374, 373, 390, 249],
)
BROWS = ([46, 53, 52, 65, 55, 107, 66, 105, 63, 70], [276, 283, 282, 295, 285, 336, 296, 334, 293, 300])
OVAL = [
    10,
    338,
    297,
    332,
    284,
    251,
    389,
    356,
    454,
    323,
    361,
    288,
    397,
    365,
    379,
    378,
    400,
    377,
    152,
    148,
    176,
    149,
    150,
    136,
    172,
    58,
    132,
    93,
    234,
    127,
    162,
    21,
    54,
    103,
    67,
    109,
]
HAIRLINE = [127, 162, 21, 54, 103, 67, 109, 10, 338, 297, 332, 284, 251, 389, 356]
CHIN, FOREHEAD, NOSE_TIP, NOSE_BRIDGE, CHEEKS = 152, 10, 4, 168, (234, 454)

_FILE = Path(__file__).with_name("neutral_mesh.json")
_PICTURE_PIXELS = 600
_NARROWER, _FULLER, _FLATTER = 0.82, 1.5, 0.5  # the smile of the picture, undone


@cache
def neutral_mesh() -> tuple[np.ndarray, np.ndarray]:
    """Vertices float64 [468, 3] and triangles int64 [n, 3], counter-clockwise as the viewer sees them. Read-only."""
    stored = json.loads(_FILE.read_text(encoding="utf-8"))
    vertices, triangles = np.array(stored["vertices"]), np.array(stored["triangles"])
    vertices.flags.writeable = triangles.flags.writeable = False
    return vertices, triangles


def derive_mesh() -> tuple[np.ndarray, np.ndarray]:
    """The mesh from the tracker's landmarks (see the module's text); needs mediapipe and scikit-image."""
    import cv2
    import mediapipe
    import skimage.data
    from scipy.optimize import linear_sum_assignment
    from scipy.spatial.distance import cdist

    tracker_module = mediapipe.solutions.face_mesh
    face = skimage.data.astronaut()[0:200, 130:330]
    picture = cv2.resize(face, (_PICTURE_PIXELS, _PICTURE_PIXELS), interpolation=cv2.INTER_CUBIC)
    with tracker_module.FaceMesh(static_image_mode=True) as tracker:
        landmarks = tracker.process(picture).multi_face_landmarks[0].landmark
    points = np.array([(point.x, -point.y, -point.z) for point in landmarks]) * _PICTURE_PIXELS

    right, left = (points[[ring[0], ring[8]]].mean(0) for ring in EYES)
    x_axis = (left - right) / np.linalg.norm(left - right)
    y_axis = points[FOREHEAD] - points[CHIN]
    y_axis -= x_axis * (y_axis @ x_axis)
    y_axis /= np.linalg.norm(y_axis)
    axes = np.stack([x_axis, y_axis, np.cross(x_axis, y_axis)])
    upright = (points - points[NOSE_BRIDGE]) @ axes.T * 6 / np.linalg.norm(left - right)
    mirrored = upright * [-1, 1, 1]
    symmetric = (upright + mirrored[linear_sum_assignment(cdist(upright, mirrored))[1]]) / 2
    triangles = _tessellation_triangles(tracker_module.FACEMESH_TESSELATION)
    triangles = np.array(triangles + [t for ring in EYES for t in _fan(ring)])
    neutral = _close_mouth(symmetric)
    corners = neutral[triangles]
    backwards = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2] < 0
    triangles[backwards] = triangles[backwards][:, [0, 2, 1]]
    return np.round(neutral, 3), triangles


def _tessellation_triangles(edges) -> list[tuple[int, int, int]]:
    neighbours: dict[int, set[int]] = {}
    for a, b in edges:
        neighbours.setdefault(a, set()).add(b)
        neighbours.setdefault(b, set()).add(a)
    return sorted({tuple(sorted((a, b, c))) for a, b in edges for c in neighbours[a] & neighbours[b]})


def _fan(ring: list[int]) -> list[tuple[int, int, int]]:
    """Triangles that fill an almond-shaped ring from corner to corner."""
    upper, lower = ring[:9], [ring[0]] + ring[:7:-1]
    strips = [(upper[i], upper[i + 1], lower[i]) for i in range(8)] + [
        (upper[i + 1], lower[i + 1], lower[i]) for i in range(8)
    ]
    return [strip for strip in strips if len(set(strip)) == 3]


def _close_mouth(vertices: np.ndarray) -> np.ndarray:
    """Undo the smile of the picture: lips that meet on a level line, less wide, fuller and less curved in depth."""
    closed = vertices.copy()
    corners = [LIPS_INNER[0], LIPS_INNER[10]]
    line, corner_depth = vertices[corners, 1].mean(), vertices[corners, 2].mean()
    closed[LIPS_INNER, 1] = line
    for upper, lower in zip(LIPS_INNER[1:10], LIPS_INNER[:10:-1]):
        closed[[upper, lower], 0] = closed[[upper, lower], 0].mean()
        closed[[upper, lower], 2] = closed[[upper, lower], 2].mean()
    closed[LIPS_OUTER, 1] = line + _FULLER * (vertices[LIPS_OUTER, 1] - vertices[LIPS_INNER, 1])
    for ring, share in zip(LIPS_BETWEEN, (1 / 3, 2 / 3)):
        closed[ring, :2] = (1 - share) * closed[LIPS_OUTER, :2] + share * closed[LIPS_INNER, :2]
    lips = [*LIPS_OUTER, *LIPS_BETWEEN[0], *LIPS_BETWEEN[1], *LIPS_INNER]
    closed[lips, 0] *= _NARROWER
    closed[lips, 2] += (1 - _FLATTER) * np.clip(-0.3 - closed[lips, 2], 0, -0.3 - corner_depth)
    # The skin round the lips follows them, less with distance.
    distance = np.linalg.norm(vertices[:, None, :2] - vertices[None, LIPS_OUTER, :2], axis=2)
    weight = np.exp(-0.5 * (distance / 0.5) ** 2) + 1e-12
    follow = weight @ (closed - vertices)[LIPS_OUTER] / weight.sum(1, keepdims=True)
    follow *= np.exp(-0.5 * (distance.min(1, keepdims=True) / 1.2) ** 2)
    skin = np.setdiff1d(np.arange(len(vertices)), lips)
    closed[skin] += follow[skin]
    return closed


if __name__ == "__main__":
    mesh_vertices, mesh_triangles = derive_mesh()
    _FILE.write_text(
        json.dumps({"vertices": mesh_vertices.tolist(), "triangles": mesh_triangles.tolist()}, separators=(",", ":"))
        + "\n",
        encoding="utf-8",
    )
