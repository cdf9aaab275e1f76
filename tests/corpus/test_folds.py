"""Folds: each video is tested once a repeat, and by group no group is on two sides."""

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videoproc.corpus.folds import FoldConfig, folds_key, make_folds, torn_groups
from videoproc.types import UserError


def grouped(make_video, sizes):
    """Videos of labels a and b: (videos of a, videos of b) of each group."""
    return [
        make_video(f"{g}-{label}-{i}", label=label, group=f"g{g}")
        for g, counts in enumerate(sizes)
        for label, count in zip("ab", counts, strict=True)
        for i in range(count)
    ]


def single(make_video, count):
    return [make_video(f"{i}", label="ab"[i % 2], group=f"g{i % 7}") for i in range(count)]


@settings(max_examples=20)
@given(
    sizes=st.lists(
        st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(any), min_size=6, max_size=30
    ),
    seed=st.integers(0, 3),
)
def test_by_group_each_video_is_tested_once_a_repeat_and_no_group_is_on_two_sides(
    make_video, sizes, seed
):
    videos = grouped(make_video, [*[(1, 1)] * 6, *sizes])
    group_of = {video.video_id: video.group for video in videos}
    folds = make_folds(videos, FoldConfig(count=3, repeats=2, seed=seed))
    for repeat in range(2):
        tested = [i for fold in folds if fold.repeat == repeat for i in fold.test]
        assert sorted(tested) == sorted(group_of)
    for fold in folds:
        sides = [{group_of[i] for i in side} for side in (fold.train, fold.val, fold.test)]
        assert sum(map(len, sides)) == len(set.union(*sides))
        assert sorted([*fold.train, *fold.val, *fold.test]) == sorted(group_of)
        assert torn_groups(videos, fold) == []


def test_by_video_labels_have_the_same_shares_in_every_fold_and_groups_are_torn(make_video):
    videos = single(make_video, 200)
    label_of = {video.video_id: video.label for video in videos}
    for fold in make_folds(videos, FoldConfig(by="video", val_share=0.25)):
        assert Counter(label_of[i] for i in fold.test) == {"a": 20, "b": 20}
        assert Counter(label_of[i] for i in fold.val) == {"a": 20, "b": 20}
        assert torn_groups(videos, fold) == [f"g{i}" for i in range(7)]


def test_every_side_of_every_fold_has_every_class(make_video):
    videos = grouped(make_video, [(6, 1), (5, 0), (0, 4), (1, 1), (2, 0), (0, 7), (3, 2), (1, 1)])
    label_of = {video.video_id: video.label for video in videos}
    for fold in make_folds(videos, FoldConfig(count=3, repeats=3)):
        for side in (fold.train, fold.val, fold.test):
            assert {label_of[i] for i in side} == {"a", "b"}


@settings(max_examples=10)
@given(order=st.randoms(use_true_random=False), by=st.sampled_from(["group", "video"]))
def test_the_order_of_the_videos_does_not_matter(make_video, order, by):
    videos = [make_video(f"{i}", label="ab"[i % 2], group=f"g{i * i % 31}") for i in range(60)]
    shuffled = order.sample(videos, len(videos))
    config = FoldConfig(count=3, by=by)
    assert make_folds(shuffled, config) == make_folds(videos, config)


def test_repeats_and_seeds_deal_anew_and_the_key_tells_them_apart(make_video):
    videos = single(make_video, 40)
    twice = make_folds(videos, FoldConfig(by="video", repeats=2))
    assert {f.test for f in twice if f.repeat == 0} != {f.test for f in twice if f.repeat == 1}
    once = make_folds(videos, FoldConfig(by="video"))
    other = make_folds(videos, FoldConfig(by="video", seed=1))
    assert once == [fold for fold in twice if fold.repeat == 0]
    assert len({folds_key(folds) for folds in (once, twice, other)}) == 3


def test_videos_without_label_or_header_are_in_no_fold(make_video):
    videos = single(make_video, 20)
    useless = [make_video("u", label=None), make_video("e", label="a", error="broken")]
    config = FoldConfig(count=3, by="video")
    assert make_folds([*videos, *useless], config) == make_folds(videos, config)


def test_too_few_groups_of_a_class_are_refused_with_what_would_do(make_video):
    videos = grouped(make_video, [(3, 3)] * 4 + [(3, 0)] * 4)
    with pytest.raises(
        UserError,
        match=r"folds.count is 5, and label 'b' is in 4 group\(s\).*"
        r"use folds.count 4, or add videos of it from other groups",
    ):
        make_folds(videos, FoldConfig())
    with pytest.raises(UserError, match=r"label 'a' is in 2 group\(s\) of the 3.*: add videos"):
        make_folds(grouped(make_video, [(3, 3)] * 2), FoldConfig(count=2))


def test_without_a_val_side_all_others_are_learned_from(make_video):
    videos = grouped(make_video, [(3, 3)] * 2)  # too few for three sides
    for fold in make_folds(videos, FoldConfig(count=2, val_share=0)):
        assert fold.val == ()
        assert sorted((*fold.train, *fold.test)) == sorted(v.video_id for v in videos)


def test_a_class_that_cannot_be_on_every_side_is_named(make_video):
    # Of three groups, one fold of two tests two: the one that is left cannot train and validate.
    with pytest.raises(UserError, match=r"every class on each side: \w+ of fold \d .* has no 'a'"):
        make_folds(grouped(make_video, [(3, 3)] * 3), FoldConfig(count=2))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("count", 1), ("by", "camera"), ("repeats", 0), ("seed", -1), ("val_share", -0.1)],
)
def test_wrong_settings_are_named(setting, value):
    with pytest.raises(ValueError, match=f"folds.{setting} is {value!r}: use"):
        FoldConfig(**{setting: value})
