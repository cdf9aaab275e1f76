"""Which nodes a placement admits, and what each process takes there."""

from __future__ import annotations

import pytest

from videoproc.runtime.placement import Placement

ROLE = "videoproc/role"


def test_any_node_will_do_by_default() -> None:
    assert Placement().admits({})
    assert Placement().admits({ROLE: "train"})


@pytest.mark.parametrize(
    ("wanted", "has", "admitted"),
    [
        ("decode", {ROLE: "decode"}, True),
        ("decode", {ROLE: "train"}, False),
        ("decode", {}, False),
        ("!train", {ROLE: "decode"}, True),
        ("!train", {ROLE: "train"}, False),
        ("!train", {}, True),
        ("in(decode, spare)", {ROLE: "spare"}, True),
        ("in(decode,spare)", {ROLE: "train"}, False),
        ("!in(train,head)", {ROLE: "decode"}, True),
        ("!in(train,head)", {ROLE: "head"}, False),
    ],
)
def test_a_label_is_matched_by_rays_rules(wanted: str, has: dict[str, str], admitted: bool) -> None:
    assert Placement(labels={ROLE: wanted}).admits(has) is admitted


def test_every_label_must_match() -> None:
    both = Placement(labels={ROLE: "decode", "zone": "a"})
    assert both.admits({ROLE: "decode", "zone": "a"})
    assert not both.admits({ROLE: "decode", "zone": "b"})


def test_a_process_takes_a_core_what_the_user_says_and_what_the_stage_is_known_to_need() -> None:
    assert Placement(resources={"decode": 1}).needs(memory_bytes=700) == {
        "CPU": 1,
        "memory": 700,
        "decode": 1,
    }
    assert Placement(memory_bytes=300).needs(gpus=1, memory_bytes=700) == {
        "CPU": 1,
        "GPU": 1,
        "memory": 300,
    }


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"resources": {"CPU": 2}}, "placement.resources has 'CPU'"),
        ({"resources": {"decode": 0}}, "placement.resources.decode is 0"),
        ({"memory_bytes": 0}, "placement.memory_bytes is 0"),
    ],
)
def test_what_cannot_be_is_refused_by_name(settings: dict[str, object], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Placement(**settings)  # type: ignore[arg-type]
