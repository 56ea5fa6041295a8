"""Processes that do one function for many things."""

import os
import signal

import pytest

from isolux.crowd import Crowd, Lost


def root(number: float) -> float:
    """Raise for a negative number, die for 13."""
    if number < 0:
        raise ValueError(f"{number} is negative")
    if number == 13:
        os.kill(os.getpid(), signal.SIGKILL)
    return number**0.5


@pytest.mark.parametrize("count", [1, 2])
def test_every_item_is_answered_once(count):
    items = [float(k**2) for k in range(7)]
    with Crowd(root, count) as crowd:
        first = dict(crowd.map(items))
        second = dict(crowd.map(items[:2]))
    assert first == {item: item**0.5 for item in items}
    assert second == {0.0: 0.0, 1.0: 1.0}


def test_an_exception_comes_back():
    with Crowd(root, 2) as crowd, pytest.raises(ValueError, match=r"-4\.0 is negative"):
        list(crowd.map([1.0, -4.0, 9.0]))


def test_what_ends_its_process_twice_is_given_up():
    with Crowd(root, 2) as crowd, pytest.raises(Lost, match="SIGKILL"):
        list(crowd.map([1.0, 13.0, 9.0]))
    assert crowd.processes == [None, None]


def test_what_is_given_up_may_have_an_answer():
    with Crowd(root, 2, lambda item, how: -item if "SIGKILL" in how else 0.0) as crowd:
        found = dict(crowd.map([1.0, 13.0, 9.0]))
    assert found == {1.0: 1.0, 13.0: -13.0, 9.0: 3.0}


def test_items_are_taken_when_they_can_be_done():
    taken = []

    def items():
        for k in range(100):
            taken.append(k)
            yield float(k + 20)

    with Crowd(root, 2) as crowd:
        answers = crowd.map(items())
        next(answers)
        assert len(taken) < 12
        answers.close()
