"""The three inner loops of the face renderer, compiled. All pictures are uint8 [height, width, channels]."""

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def lay_over(picture, wall, layer, behind, gain):
    """picture = wall, with the RGBA `layer` over it except where `behind` (0 .. 255) hides it, times `gain`."""
    height, width = wall.shape[:2]
    for y in range(height):
        for x in range(width):
            cover = layer[y, x, 3] * behind[y, x] / 65025.0
            for channel in range(3):
                under = float(wall[y, x, channel])
                value = (under + (layer[y, x, channel] - under) * cover) * gain
                picture[y, x, channel] = min(max(value, 0.0), 255.0)


@njit(cache=True, nogil=True)
def draw_mesh(picture, nearest, places, depths, triangles, texture_places, light, texture):
    """Draw a textured, lit triangle mesh with a depth buffer.

    nearest: float32 [height, width] work space. places: [n, 2] pixels x, y. depths: [n], larger is nearer.
    triangles: [m, 3]; those that turn away (their corners run the other way round) are left out.
    texture_places: [n, 2] pixels in `texture` RGBA. light: [n, 3] factors.
    """
    height, width = picture.shape[:2]
    last_row, last_column = texture.shape[0] - 2, texture.shape[1] - 2
    nearest[:] = -1e9
    colour = np.empty(4)
    for number in range(triangles.shape[0]):
        a, b, c = triangles[number]
        ax, ay, bx, by, cx, cy = places[a, 0], places[a, 1], places[b, 0], places[b, 1], places[c, 0], places[c, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        if area > -1e-6:
            continue
        left, right = max(int(np.ceil(min(ax, bx, cx))), 0), min(int(max(ax, bx, cx)), width - 1)
        top, bottom = max(int(np.ceil(min(ay, by, cy))), 0), min(int(max(ay, by, cy)), height - 1)
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                of_b = ((x - ax) * (cy - ay) - (y - ay) * (cx - ax)) / area
                of_c = ((bx - ax) * (y - ay) - (by - ay) * (x - ax)) / area
                of_a = 1.0 - of_b - of_c
                if of_a < -1e-9 or of_b < -1e-9 or of_c < -1e-9:
                    continue
                depth = of_a * depths[a] + of_b * depths[b] + of_c * depths[c]
                if depth <= nearest[y, x]:
                    continue
                nearest[y, x] = depth
                u = of_a * texture_places[a, 0] + of_b * texture_places[b, 0] + of_c * texture_places[c, 0]
                v = of_a * texture_places[a, 1] + of_b * texture_places[b, 1] + of_c * texture_places[c, 1]
                column, row = min(max(int(u), 0), last_column), min(max(int(v), 0), last_row)
                right_share, lower_share = u - column, v - row
                for channel in range(4):
                    upper = (
                        texture[row, column, channel] * (1 - right_share)
                        + texture[row, column + 1, channel] * right_share
                    )
                    lower = (
                        texture[row + 1, column, channel] * (1 - right_share)
                        + texture[row + 1, column + 1, channel] * right_share
                    )
                    colour[channel] = upper * (1 - lower_share) + lower * lower_share
                cover = colour[3] / 255.0
                for channel in range(3):
                    lit = of_a * light[a, channel] + of_b * light[b, channel] + of_c * light[c, channel]
                    under = float(picture[y, x, channel])
                    value = under + (colour[channel] * lit - under) * cover
                    picture[y, x, channel] = min(max(value, 0.0), 255.0)


@njit(cache=True, nogil=True)
def add_grain(picture, grain, down, right):
    """Add the int8 sensor noise `grain` (one channel, larger than the picture), shifted by so many pixels."""
    height, width = picture.shape[:2]
    for y in range(height):
        for x in range(width):
            noise = int(grain[y + down, x + right])
            for channel in range(3):
                value = int(picture[y, x, channel]) + noise
                picture[y, x, channel] = min(max(value, 0), 255)
