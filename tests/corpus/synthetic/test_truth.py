"""Boxes and run-length masks say the same as the masks that they were made from."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from videoproc.corpus.synthetic.truth import decode_mask, describe_frames, encode_mask


@given(arrays(bool, array_shapes(min_dims=2, max_dims=2, max_side=9)))
def test_a_mask_comes_back_from_its_run_lengths(mask):
    height, width = mask.shape
    np.testing.assert_array_equal(decode_mask(encode_mask(mask), height=height, width=width), mask)


def test_run_lengths_begin_outside_row_by_row():
    assert encode_mask(np.array([[False, True], [True, False]])) == [1, 2, 1]
    assert encode_mask(np.array([[True, True], [True, False]])) == [0, 3, 1]


@given(arrays(bool, st.tuples(st.just(3), st.integers(1, 8), st.integers(1, 8))))
def test_a_box_encloses_its_mask_and_nothing_more(masks):
    for mask, frame in zip(masks, describe_frames([masks]), strict=True):
        assert bool(frame["boxes"]) == bool(mask.any())
        for x0, y0, x1, y1 in frame["boxes"]:
            assert mask[y0:y1, x0:x1].sum() == mask.sum()
            edges = (mask[y0], mask[y1 - 1], mask[:, x0], mask[:, x1 - 1])
            assert all(edge.any() for edge in edges)


def test_a_track_is_listed_only_where_it_is_present():
    early, late = np.zeros((2, 2, 4, 4), dtype=bool)
    early[0, 1, 1] = late[1, 2, 2] = True
    frames = describe_frames([early, late])
    assert [frame["track_ids"] for frame in frames] == [[0], [1]]
    assert [frame["boxes"] for frame in frames] == [[[1, 1, 2, 2]], [[2, 2, 3, 3]]]
