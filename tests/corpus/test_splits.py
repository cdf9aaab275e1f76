"""Splits: no group on two sides, every class on every side, shares as asked."""

from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from videoproc.corpus.layouts import LAYOUTS, Entry
from videoproc.corpus.splits import SPLITS, SplitConfig, assign, check_no_leak, group_of
from videoproc.types import UserError

GROUP = "source_id"


def shares(videos):
    """(label, split) -> the share of the label's videos."""
    totals = Counter(v.label for v in videos)
    counts = Counter((v.label, v.split) for v in videos)
    return {key: count / totals[key[0]] for key, count in counts.items()}


def test_single_videos_are_split_to_within_one_of_each_class(make_video):
    videos = assign([make_video(f"{i}", label="ab"[i % 3 == 0]) for i in range(400)], SplitConfig())
    counts = Counter((v.label, v.split) for v in videos)
    for label, total in Counter(v.label for v in videos).items():
        for split in SPLITS:
            assert abs(counts[label, split] - total * getattr(SplitConfig(), split)) <= 1


@settings(max_examples=30)
@given(
    sizes=st.lists(
        st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(any), min_size=9, max_size=40
    ),
    seed=st.integers(0, 3),
)
def test_a_group_is_never_on_two_sides_and_no_side_lacks_a_class(make_video, sizes, seed):
    videos = [
        make_video(f"{g}-{label}-{i}", label=label, group=f"g{g}")
        for g, counts in enumerate([(1, 1), (1, 1), (1, 1), *sizes])  # so that it is possible
        for label, count in zip("ab", counts, strict=True)
        for i in range(count)
    ]
    done = assign(videos, SplitConfig(seed=seed))
    check_no_leak(done)
    assert {(v.label, v.split) for v in done} == {(a, s) for a in "ab" for s in SPLITS}


@settings(max_examples=10)
@given(order=st.randoms(use_true_random=False))
def test_the_order_of_the_videos_does_not_matter(make_video, order):
    videos = [make_video(f"{i}", label="ab"[i % 2], group=f"g{i * i % 17}") for i in range(60)]
    shuffled = order.sample(videos, len(videos))
    assert {v.uri: v.split for v in assign(shuffled, SplitConfig())} == {
        v.uri: v.split for v in assign(videos, SplitConfig())
    }


def test_another_seed_gives_another_split(make_video):
    videos = [make_video(f"{i}", label="ab"[i % 2]) for i in range(60)]
    one, other = (assign(videos, SplitConfig(seed=seed)) for seed in (0, 1))
    assert [v.split for v in one] != [v.split for v in other]


def test_what_has_no_label_or_cannot_be_read_has_no_split(make_video):
    videos = [make_video(f"{i}", label="a") for i in range(9)]
    videos += [make_video("unlabelled"), make_video("broken", label="a", error="cut short")]
    assert [v.split for v in assign(videos, SplitConfig())[-2:]] == [None, None]


def test_a_share_of_zero_leaves_the_side_empty(make_video):
    videos = [make_video(f"{i}", label="ab"[i % 2]) for i in range(20)]
    done = assign(videos, SplitConfig(train=0.8, val=0.2, test=0.0))
    assert Counter(v.split for v in done) == {"train": 16, "val": 4}


def test_a_class_too_rare_for_every_side_is_refused(make_video):
    videos = [make_video(f"{i}", label="a") for i in range(20)]
    videos += [make_video(f"rare{i}", label="rare") for i in range(2)]
    with pytest.raises(UserError, match=r"has no 'rare' \(2 units hold it\).*add videos"):
        assign(videos, SplitConfig())


def test_a_given_split_is_kept_and_the_rest_is_dealt_around_it(make_video):
    given_test = [make_video(f"t{i}", label="a", split="test") for i in range(10)]
    free = [make_video(f"{i}", label="a") for i in range(90)]
    done = assign(given_test + free, SplitConfig())
    assert {v.split for v in done[:10]} == {"test"}
    assert Counter(v.split for v in done) == {"train": 70, "val": 15, "test": 15}


def test_a_video_joins_its_group_where_that_was_put(make_video):
    old = [make_video(f"o{i}", label="a", group=f"g{i}", split=SPLITS[i]) for i in range(3)]
    new = [make_video(f"n{i}", label="a", group=f"g{i}") for i in range(3)]
    assert [v.split for v in assign(old + new, SplitConfig())[3:]] == list(SPLITS)


def test_a_given_split_that_tears_a_group_is_refused(make_video):
    videos = [make_video(s, label="a", group="cam07", split=s) for s in ("train", "test")]
    with pytest.raises(UserError, match="sides of the split: group 'cam07': 1 train, 1 test; give"):
        assign(videos, SplitConfig())


def test_a_leak_names_five_groups_with_their_counts_and_counts_the_rest(make_video):
    videos = [
        make_video(f"{g}-{i}", group=f"cam{g}", split=split)
        for g in range(8)
        for i, split in enumerate(("test", "train", "train", "val"))
    ]
    with pytest.raises(UserError) as error:
        check_no_leak(videos)
    named = "; ".join(f"group 'cam{g}': 2 train, 1 val, 1 test" for g in range(5))
    assert str(error.value).startswith(
        f"groups on several sides of the split: {named}; and 3 more; give all videos"
    )


def test_a_given_split_of_another_name_is_refused(make_video):
    with pytest.raises(UserError, match="unknown splits holdout; they are train, val, test"):
        assign([make_video("a", label="a", split="holdout")], SplitConfig())


def test_a_group_is_a_column_or_what_an_expression_finds_in_the_uri():
    entry = Entry(uri="/x/cam03_017.mp4", labels=("up",), columns={"source_id": "7"})
    assert group_of(entry, "source_id") == "7"
    assert group_of(entry, r"(cam\d+)_") == "cam03"


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("(dog)", r"'\(dog\)' finds no group in '/x/cam03_017.mp4'"),
        ("sorce_id", r"no column of the list \(columns: source_id\)"),
        ("(cam", "is no expression"),
    ],
)
def test_a_group_that_cannot_be_found_names_the_expression_and_the_file(pattern, message):
    entry = Entry(uri="/x/cam03_017.mp4", columns={"source_id": "7"})
    with pytest.raises(UserError, match=message):
        group_of(entry, pattern)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"train": 0.9}, "sum to 1.2"),
        ({"train": 1.2, "val": -0.2, "test": 0.0}, "split.train is 1.2"),
        ({"seed": -1}, "split.seed is -1"),
    ],
)
def test_a_wrong_config_names_the_field_and_value(wrong, message):
    with pytest.raises(ValueError, match=message):
        SplitConfig(**wrong)


@pytest.mark.data
@pytest.mark.parametrize("seed", range(3))
def test_the_surveillance_fights_split_by_source_keep_their_shares(shared_data, make_video, seed):
    entries = LAYOUTS["csv"](shared_data / "surveillance_fights" / "groups.csv")
    videos = [make_video(e.uri, labels=e.labels, group=group_of(e, GROUP)) for e in entries]
    done = assign(videos, SplitConfig(seed=seed))
    check_no_leak(done)
    for (_, split), share in shares(done).items():
        assert share == pytest.approx(getattr(SplitConfig(), split), abs=0.02)


def test_no_leak_is_found_where_there_is_none(make_video):
    videos = [make_video(f"{i}", label="a", group=f"g{i}", split="train") for i in range(3)]
    check_no_leak([*videos, replace(videos[0], uri="twin"), make_video("alone", split="test")])
