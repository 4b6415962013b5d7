"""The packed layout."""

import numpy as np
import pytest

from agser_core.ragged import Ragged, as_ragged


def test_packs_and_gives_back():
    arrays = [np.arange(6.0).reshape(3, 2), np.ones((1, 2)), np.zeros((4, 2))]
    packed = Ragged.from_list(arrays)
    assert len(packed) == 3
    assert packed.dimension == 2
    assert packed.offsets.tolist() == [0, 3, 4, 8]
    assert packed.lengths.tolist() == [3, 1, 4]
    for i, array in enumerate(arrays):
        assert packed[i].tolist() == array.tolist()
    assert packed[-1].tolist() == arrays[2].tolist()
    assert np.shares_memory(packed[1], packed.frames)
    with pytest.raises(IndexError, match="segment 3 of 3"):
        packed[3]


def test_take_and_slice():
    packed = Ragged.from_list([np.full((n, 2), n, np.float32) for n in (2, 5, 1, 3)])
    assert [x[0, 0] for x in packed.take([3, 0, 3])] == [3, 2, 3]
    assert packed.take(np.array([False, True, True, False])).lengths.tolist() == [5, 1]
    part = packed.slice(1, 3)
    assert part.lengths.tolist() == [5, 1]
    assert np.shares_memory(part.frames, packed.frames)
    assert part.take([1]).frames.tolist() == [[1, 1]]


def test_types():
    assert Ragged.from_list([np.zeros((2, 1), np.float32)]).frames.dtype == np.float32
    assert Ragged.from_list([np.zeros((2, 1), np.float32), np.zeros((2, 1))]).frames.dtype == np.float64
    assert Ragged.from_list([[[1], [2]]]).frames.dtype == np.float64
    assert as_ragged(np.zeros((4, 7))).dimension == 1
    assert as_ragged(np.zeros((4, 7, 3))).lengths.tolist() == [7] * 4
    with pytest.raises(ValueError, match="float32 or float64"):
        Ragged(np.zeros((2, 2), int), np.array([0, 2]))
    with pytest.raises(ValueError, match="outside the 2 frames"):
        Ragged(np.zeros((2, 2)), np.array([0, 3]))


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16, np.int32])
@pytest.mark.parametrize("shape", [(4, 7, 3), (4, 7)])
def test_an_array_is_packed_as_the_list_of_its_rows_is(shape, dtype):
    array = np.arange(np.prod(shape)).reshape(shape).astype(dtype)
    for given in (array, array[::2], array.swapaxes(0, 1)):
        packed, expected = as_ragged(given), as_ragged(list(given))
        assert packed.frames.tolist() == expected.frames.tolist()
        assert packed.offsets.tolist() == expected.offsets.tolist()
        assert packed.frames.dtype == expected.frames.dtype
    for empty in (array[:0], array[:, :0]):
        with pytest.raises(ValueError, match="empty|no segments"):
            as_ragged(empty)
