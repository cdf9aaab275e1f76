"""Which clips predict shows: the extremes, however the predictions come in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from pipelines.predict_pictures import rank

TOLD = st.lists(
    st.tuples(st.sampled_from([0.2, 0.5, 0.9]), st.text("abc", min_size=1, max_size=3)),
    unique_by=lambda one: one[1],
)


@given(parts=st.lists(TOLD, max_size=4), count=st.integers(1, 3))
def test_the_extremes_of_parts_are_those_of_the_whole(
    parts: list[list[tuple[float, str]]], count: int
) -> None:
    whole = [one for part in parts for one in part]
    kept: list[tuple[float, str]] = []
    for part in parts:
        kept = rank([*kept, *part], count=count)
    assert kept == rank(whole, count=count)


def test_most_and_least_are_apart_and_few_are_all_ranked() -> None:
    told = [(0.5, "b"), (0.9, "a"), (0.3, "d"), (0.4, "c")]
    assert [name for _, name in rank(told, count=1)] == ["a", "d"]
    assert [name for _, name in rank(told, count=9)] == ["a", "b", "c", "d"]
