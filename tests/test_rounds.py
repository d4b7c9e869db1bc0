"""Rounds: an input of its own for every call, the same for all members; secret looks; the clock sees calls alone."""

import contextlib
import time

import pytest

from harness.bench.measure import Clock
from harness.bench.rounds import CHECKED, Inputs, Rounds


@pytest.fixture(autouse=True)
def at_rest(monkeypatch):
    """These clocks are scripted, and so is what the processors do: what other tests left running is none of theirs.
    What a call leaves at work is the business of test_processor."""
    monkeypatch.setattr("harness.bench.processor.processor_seconds", lambda: 0.0)


class Scripted:
    """A clock on which a call takes `seconds`, its first one `first`."""

    def __init__(self, seconds=0.005, first=None):
        self.seconds, self.first, self.calls = seconds, first, 0

    def time(self, call, calls=1):
        total = 0.0
        for _ in range(calls):
            call()
            total += self.first if self.first and not self.calls else self.seconds
            self.calls += 1
        return total


class Looks:
    """A check that writes down what it is asked."""

    def __init__(self):
        self.log, self.note = [], ""

    def begin(self):
        self.log.append("begin")

    def arm(self):
        self.log.append("arm")

    def take(self, round, given, output):
        self.log.append((round, given, output))

    def end(self):
        self.log.append("end")


def test_a_call_without_inputs_is_called_bare():
    assert Rounds(Scripted()).run(lambda: None, 6) == pytest.approx([0.005] * 6)


def test_no_input_comes_twice_and_none_is_drawn_while_the_clock_runs():
    drawn, used = [], []

    class Watching(Scripted):
        def time(self, call, calls=1):
            before = len(drawn)
            total = super().time(call, calls)
            assert len(drawn) == before
            return total

    def draw(number):
        drawn.append(number)
        return number

    Rounds(Watching(), inputs=Inputs(draw, 7), check=Looks()).run(used.append, 9)
    assert sorted(used) == sorted(drawn)
    assert len(set(used)) == len(used)


def test_members_of_a_group_get_the_same_inputs_in_a_round_whatever_their_speed():
    """The slow one makes a call a round, the quick one 20: the first inputs of every round are the same."""
    given = {}
    for seconds in (0.1, 0.001):
        own = given[seconds] = []
        clock = Scripted(seconds)
        rounds = Rounds(clock, inputs=Inputs(lambda number: number, 1 << 40))
        rounds.run(own.append, 6)
    quick, slow = (set(given[seconds]) for seconds in (0.001, 0.1))
    assert len(slow - quick) == 0
    other = []
    Rounds(Scripted(0.1), inputs=Inputs(lambda number: number, 5)).run(other.append, 6)
    assert not quick & set(other)


def test_some_rounds_are_looked_at_which_and_where_nobody_knows():
    seen = set()
    for _ in range(40):
        looks = Looks()
        Rounds(Scripted(), inputs=Inputs(lambda number: number, 0), check=looks).run(lambda x: -x, 9)
        assert [looks.log[0], *looks.log[1:-1:2], looks.log[-1]] == ["begin", *["arm"] * CHECKED, "end"]
        for round, given, output in looks.log[2:-1:2]:
            assert output == -given and given >> 20 == round + 1
            seen.add((round, given - (round + 1 << 20)))
    assert {round for round, _ in seen} == set(range(9))
    assert {place for _, place in seen} == {1, 2, 3, 4, 5}      # five calls a round


def test_the_clock_rests_while_a_call_is_prepared_and_kept():
    class Slow(Looks):
        def arm(self):
            time.sleep(0.2)

        def take(self, round, given, output):
            time.sleep(0.2)

    seconds = Rounds(Clock(), inputs=Inputs(lambda number: number, 0), check=Slow()).run(lambda x: time.sleep(0.01), 6)
    assert max(seconds) < 0.1


def test_everything_runs_in_our_turn():
    ours = []

    @contextlib.contextmanager
    def turn():
        ours.append(1)
        yield
        ours.clear()

    class Strict(Looks):
        def begin(self):
            assert ours
        arm = end = begin

        def take(self, round, given, output):
            assert ours

    def call(x):
        assert ours

    assert len(Rounds(Scripted(), turn, Inputs(lambda number: number, 0), Strict()).run(call, 7)) == 7


@pytest.mark.parametrize(("first", "before", "told"), [(None, 0, 0), (0.3, 0, 0), (3.0, 0, 2.995), (None, 2, 2)])
def test_a_slow_start_is_told_wherever_it_was_paid(first, before, told):
    rounds = Rounds(Scripted(first=first), before=before)
    rounds.run(lambda: None, 6)
    assert rounds.slow_start == pytest.approx(told)


def test_a_start_that_the_check_pays_for_is_told_as_well():
    class Slow(Looks):
        def begin(self):
            time.sleep(0.7)

    rounds = Rounds(Scripted(), check=Slow(), inputs=Inputs(lambda number: number, 0))
    rounds.run(lambda x: None, 6)
    assert 0.6 < rounds.slow_start < 5
