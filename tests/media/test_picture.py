"""What a picture's size may be."""

from __future__ import annotations

import pytest

from videoproc.media import Size


@pytest.mark.parametrize("value", [0, -1, 1 << 31])
def test_a_size_that_no_picture_has_is_refused(value):
    with pytest.raises(
        ValueError, match=f"width is {value}: give 1 pixel or more, 2147483647 at most"
    ):
        Size(height=10, width=value)
