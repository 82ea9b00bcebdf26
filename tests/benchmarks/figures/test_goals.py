"""
`benchmarks.figures.goals`
"""

from __future__ import annotations

import pytest

from benchmarks.figures.goals import Goal, goals
from benchmarks.figures.results import Burst, Result, Slow, Small, Transfer
from benchmarks.sizes import GiB, KiB
from benchmarks.workloads import Workload


def transfer(cpu: float, seconds: float = 1.0) -> Transfer:
    return Transfer(size=GiB, seconds=seconds, cpu=cpu)


def small(rate: int) -> Small:
    burst = Burst(requests=rate, seconds=1.0, cpu=1.0)
    return Small(whole=burst, creates=burst, appends=burst)


@pytest.mark.parametrize(
    ("measured", "at_most", "kept"), [(1.0, True, True), (1.1, True, False), (1.0, False, True), (0.9, False, False)]
)
def test_kept(measured: float, at_most: bool, kept: bool) -> None:
    """
    A bound itself is still within the bound.
    """

    assert kept is Goal(text="it", measured=measured, bound=1.0, unit="s", at_most=at_most).kept


def test_lines() -> None:
    """
    One line tells what was measured, what was promised, and the verdict; or what would have to run for one.
    """
    known = Goal(text="one stream, CPU time", measured=1.456, bound=1.3, unit="of it")
    unknown = Goal(text="requests", measured=None, bound=1.5, unit="of it", at_most=False, needs="before")

    assert known.line() == "one stream, CPU time: measured 1.46 of it, at most 1.3 of it: missed"
    assert unknown.line() == "requests: at least 1.5 of it: not measured (it takes before)"


def test_content() -> None:
    """
    Either durability is compared with itself without the hand-off and before it, and with the limits if they were there.
    """
    one = Result(
        workload=Workload.ONE,
        turns={
            "limit": [transfer(1.0)],
            "limit-synced": [transfer(1.6)],
            "holdfast-none": [transfer(1.2)],
            "holdfast-none-off": [transfer(4.0)],
            "holdfast": [transfer(2.0)],
        },
    )
    streams = Result(
        workload=Workload.STREAMS, turns={"holdfast": [transfer(1.0, 1.0)], "holdfast-off": [transfer(2.0, 1.5)]}
    )  # fmt: skip
    found = goals({Workload.ONE: one, Workload.STREAMS: streams})

    assert [(goal.verdict, goal.needs) for goal in found] == [
        ("kept", "limit"),
        ("kept", "holdfast-none-off"),
        ("not measured", "before-none"),
        ("missed", "limit"),
        ("kept", "limit-synced"),
        ("not measured", "holdfast-off"),
        ("not measured", "before"),
        ("kept", "holdfast-off"),
        ("missed", "holdfast-off"),
        ("not measured", "before"),
        ("not measured", "before"),
    ]


def test_small() -> None:
    """
    Rates are compared with those of an earlier Holdfast, and with an application that does nothing.
    """
    turns = {"raw-asgi": [small(19_000)], "before-none": [small(3_000)], "holdfast-none": [small(4_500)]}
    before, creates, appends = goals({Workload.SMALL: Result(workload=Workload.SMALL, turns=turns)})

    assert (before.measured, before.kept) == (1.5, True)
    assert creates.line().endswith(
        "creates per CPU-second: measured 0.237 × raw-asgi (4500 beside 19000; the goal is 9700 where those are 38000), "  # noqa: RUF001
        "at least 0.255 × raw-asgi: missed"  # noqa: RUF001
    )
    assert appends.kept


def test_slow_and_download() -> None:
    """
    Memory is told in KiB, the loss of throughput in per cent, and downloads in multiples of nginx.
    """
    slow = Slow(uploads=2, idle=0, most=80 * KiB, median=0, slowest=0, beside=transfer(1.0, 1.25), alone=transfer(1.0, 1.0))
    found = goals(
        {
            Workload.SLOW: Result(workload=Workload.SLOW, turns={"holdfast": [slow]}),
            Workload.DOWNLOAD: Result(workload=Workload.DOWNLOAD, turns={"holdfast": [transfer(0.3)], "nginx": [transfer(0.2)]}),
        }
    )

    assert [40, 20, 1.5] == [goal.measured and round(goal.measured, 9) for goal in found]


def test_other_servers_promise_nothing() -> None:
    """
    There are goals for Holdfast only.
    """

    assert goals({Workload.ONE: Result(workload=Workload.ONE, turns={"tusd": [transfer(1.0)]})}) == []
