import numpy as np
import pytest

from agser_core.corpora.sample.face import Face
from agser_core.corpora.sample.mesh import EYES, LIPS_INNER, derive_mesh, neutral_mesh
from agser_core.corpora.sample.raster import draw_mesh


def test_stored_mesh_is_what_the_script_derives():
    pytest.importorskip("skimage")
    vertices, triangles = derive_mesh()
    stored_vertices, stored_triangles = neutral_mesh()
    np.testing.assert_allclose(vertices, stored_vertices, atol=0.05)  # mediapipe varies with the processor
    assert np.array_equal(triangles, stored_triangles)


def test_mesh_is_symmetric_frontal_and_closed():
    vertices, triangles = neutral_mesh()
    eyes = [vertices[ring].mean(0) for ring in EYES]
    assert abs(eyes[0][0] + eyes[1][0]) < 0.01 and np.ptp(vertices[LIPS_INNER, 1]) < 0.01
    corners = vertices[triangles]
    facing = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])[:, 2]
    assert (facing >= -1e-3).all()
    used = set(map(tuple, np.sort(triangles, axis=1).tolist()))
    assert len(used) == len(triangles)


def test_nearer_triangle_hides_the_farther_and_light_multiplies():
    places = np.array([(0, 0), (0, 9), (9, 0), (0, 0), (0, 9), (9, 0)], float)
    depths = np.array([1, 1, 1, 2, 2, 2], float)
    texture = np.zeros((4, 4, 4), np.uint8)
    texture[..., 3] = 255
    texture[:2, :, 0], texture[2:, :, 1] = 200, 200  # red above, green below
    texture_places = np.array([(0, 0)] * 3 + [(0, 2.5)] * 3, float)
    light = np.full((6, 3), 0.5)
    for order in ([[0, 1, 2], [3, 4, 5]], [[3, 4, 5], [0, 1, 2]]):
        picture = np.zeros((10, 10, 3), np.uint8)
        nearest = np.empty((10, 10), np.float32)
        draw_mesh(picture, nearest, places, depths, np.array(order), texture_places, light, texture)
        assert picture[2, 2].tolist() == [0, 100, 0]
        assert picture[9, 9].tolist() == [0, 0, 0]


def test_pictures_follow_from_their_arguments():
    arguments = dict(lips=(0.2, 0.05, 0.3), pose=(3, -2, 1), lamp=0.1, gain=1.02, number=7)
    first = Face(5, "female").picture(**arguments)
    face = Face(5, "female")
    face.picture(lips=(0.1, 0, 0), number=3)
    assert np.array_equal(face.picture(**arguments), first)
    assert first.shape == (360, 480, 3) and first.dtype == np.uint8
    assert not np.array_equal(Face(6, "female").picture(**arguments), first)


def test_people_differ_in_skin_hair_and_wall():
    pictures = [Face(seed, gender).picture().astype(float) for seed, gender in enumerate(["female", "male"] * 3)]
    for region in (np.s_[150:170, 215:225], np.s_[75:80, 230:250], np.s_[20:60, 20:60]):  # cheek, hair, wall
        means = np.array([picture[region].mean((0, 1)) for picture in pictures])
        assert np.linalg.norm(means[:, None] - means[None], axis=2)[np.triu_indices(6, 1)].mean() > 15


def test_mouth_opens_with_the_command_only_there():
    face = Face(2, "male")
    closed = face.picture((0, 0, 0)).astype(int)
    changed = [np.abs(face.picture((opening, 0, 0)).astype(int) - closed).max(axis=2) > 30 for opening in (0.1, 0.3)]
    assert 20 < changed[0].sum() < changed[1].sum()
    rows, columns = np.nonzero(changed[1])
    assert rows.min() > 170 and 180 < columns.min() and columns.max() < 300  # below the nose, within the face
