"""What a cluster has, whether a stage fits it, and the core time that it gives."""

from __future__ import annotations

import time

import pytest

from videoproc.runtime import session
from videoproc.runtime.placement import Placement
from videoproc.types import UserError


@pytest.mark.usefixtures("ray_cluster")
class TestFit:
    def test_what_a_node_can_hold_needs_no_word(self) -> None:
        needs = Placement().needs(memory_bytes=1_000_000)
        assert session.require_fit(Placement(), needs, what="decoding") is None

    @pytest.mark.parametrize(
        ("placement", "wanted"),
        [
            (Placement(labels={"role": "decode"}), "a node with role=decode that has 1 CPU"),
            (Placement(resources={"decode": 1}), "1 decode, and the cluster has 1 x 3 CPU"),
            (Placement(memory_bytes=10**15), "1000000.00 GB of memory"),
        ],
    )
    def test_what_no_node_can_hold_is_one_line_of_what_is_wanted_and_what_there_is(
        self, placement: Placement, wanted: str
    ) -> None:
        needs = placement.needs(memory_bytes=1_000_000)
        with pytest.raises(UserError) as raised:
            session.require_fit(placement, needs, what="decoding", setting="placement")
        said = str(raised.value)
        assert wanted in said
        assert "1 x 3 CPU" in said
        assert "change labels, resources or memory_bytes of its placement" in said
        assert "\n" not in said

    def test_where_nodes_are_started_by_need_it_is_waited_for(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(session, "grows", lambda: True)
        placement = Placement(labels={"role": "decode"})
        said = session.require_fit(placement, placement.needs(memory_bytes=1), what="decoding")
        assert said is not None
        assert said.startswith("waits: decoding needs a node with role=decode")

    def test_a_local_cluster_starts_no_nodes(self) -> None:
        assert not session.grows()

    def test_a_cluster_that_nodes_may_join_has_work_for_more_cores_than_it_has(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        assert session.cores_to_expect(Placement()) == 3
        monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:6379")
        assert session.cores_to_expect(Placement()) == 12
        monkeypatch.setattr(session, "grows", lambda: True)
        assert session.cores_to_expect(Placement(labels={"role": "decode"})) == 64


def test_core_time_follows_the_cores_that_there_were(monkeypatch: pytest.MonkeyPatch) -> None:
    times, cores = iter((0.0, 10.0, 20.0, 30.0, 30.5)), iter((4, 4, 8, 8))
    monkeypatch.setattr(time, "monotonic", lambda: next(times))
    clock = session.CoreTime(lambda: next(cores))
    for _ in range(4):
        clock.note()  # the last is too soon to ask again
    assert clock.core_s == 40 + 60 + 80
    assert clock.elapsed_s == 30
    assert clock.cores == 6
