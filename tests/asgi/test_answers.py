"""
Large answers share what is the same, and have a bound.
"""

from __future__ import annotations

import pytest

from holdfast.service.asgi import answers
from holdfast.service.asgi.answers import BLOCK, Answers

SIZE = 4 * BLOCK


def test_the_same_is_held_once() -> None:
    """Whoever is sent the same content as somebody else shares the copy of that one."""
    held = Answers(budget=2 * SIZE)
    all_of_them = [held.begin(held.shared(b"%d" % number + bytes(SIZE)), lambda: None) for number in [1] * 60]

    assert None not in all_of_them
    assert SIZE + 1 == held.held
    assert 1 == len({id(answer.content) for answer in all_of_them if answer is not None})


def test_bound() -> None:
    """Beyond the bound an answer is refused as long as the others may still be read; then there is room again."""
    held = Answers(budget=2 * SIZE)
    first, second = (held.begin(bytes([number]) * SIZE, lambda: None) for number in (1, 2))
    refused = held.begin(b"3" * SIZE, lambda: None)

    assert first is not None
    assert second is not None
    assert refused is None
    first.end()
    assert held.begin(b"3" * SIZE, lambda: None) is not None
    assert 2 * SIZE == held.held


def test_who_reads_nothing_makes_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where there is no room, the connection of the client that has read nothing for the longest time is cut."""
    held = Answers(budget=2 * SIZE)
    cut: list[int] = []
    for number in (1, 2):
        answer = held.begin(bytes([number]) * SIZE, lambda number=number: cut.append(number))  # type: ignore[misc]

        assert answer is not None
        next(answer.blocks())
    monkeypatch.setattr(answers, "STALLED", 0.0)

    assert held.begin(b"3" * SIZE, lambda: None) is not None
    assert [1] == cut


def test_one_alone_may_be_larger() -> None:
    """An answer that is larger than the bound is sent while there is no other."""
    assert Answers(budget=SIZE).begin(bytes(2 * SIZE), lambda: None) is not None


def test_blocks() -> None:
    """The blocks are the content, without a copy."""
    content = bytes(range(256)) * (SIZE // 256) + b"x"
    answer = Answers().begin(content, lambda: None)

    assert answer is not None
    blocks = list(answer.blocks())
    assert content == b"".join(blocks)
    assert all(block.obj is content for block in blocks)
