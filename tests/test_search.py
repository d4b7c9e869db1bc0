"""Every model has as many trials; they go where the optimum is, and to what seeds leave undecided."""

import math
from collections import Counter

import pytest

from harness.bench.search import Trial, ranked, search
from harness.bench.train import TrainResult

GRID = (4e-3, 8e-3, 1.6e-2)


def found(loss, count=10, choices=("",), grid=GRID):
    """The trials of a search whose runs have a known loss(choice, octaves above 1e-3, seed)."""
    def run(choice, lr, seed):
        value = loss(choice, math.log2(lr / 1e-3), seed)
        return TrainResult(lr, 1, 10, 10, 0.1, not math.isfinite(value), [(10, value)])

    return search(run, grid, count, choices)


def octaves(trials):
    return [round(math.log2(trial.lr / 1e-3)) for trial in trials]


@pytest.mark.parametrize(("optimum", "tried"), [
    (3, [2, 3, 4]),                                                 # inside the grid
    (2.2, [2, 3, 4, 1]),                                            # its lowest rate is the best: one below it
    (6, [2, 3, 4, 5, 6, 7]),                                        # far above
    (0, [2, 3, 4, 1, 0, -1]),
])
def test_rates_go_on_until_the_best_lies_between_two_others(optimum, tried):
    trials = found(lambda choice, x, seed: (x - optimum) ** 2)
    assert octaves(trials)[:len(tried)] == tried
    assert {trial.seed for trial in trials[:len(tried)]} == {0}
    assert len(trials) == 10 and set(octaves(trials)) == set(tried)


def test_a_loss_that_falls_without_end_takes_all_trials_to_the_edge():
    assert octaves(found(lambda choice, x, seed: -x)) == [*range(2, 12)]


def test_what_is_left_goes_to_the_better_half_with_the_same_seeds_for_all():
    trials = found(lambda choice, x, seed: (x - 6) ** 2, count=13)
    again = Counter(octaves(trials[6:]))
    assert again == {6: 3, 5: 2, 7: 2}                              # six rates, then three of them, seed by seed
    for arm in {trial.arm for trial in trials}:
        own = [trial.seed for trial in trials if trial.arm == arm]
        assert own == [*range(len(own))]


def test_other_choices_are_tried_at_the_best_rate_and_the_winner_beside_it():
    shift = {"": 0.0, "a=1": -1.0, "a=2": 1.0}
    trials = found(lambda choice, x, seed: (x - 3.2) ** 2 + shift[choice], choices=("", "a=1", "a=2"))
    assert [(t.choice, x) for t, x in zip(trials, octaves(trials), strict=True)][:7] == [
        ("", 2), ("", 3), ("", 4), ("a=1", 3), ("a=2", 3), ("a=1", 2), ("a=1", 4)]
    assert len(trials) == 10 and ranked(trials)[0] == ("a=1", 8e-3)


def test_a_choice_has_its_own_rate():
    """The second choice is the best far above what is best for the first."""
    best = {"": 3.0, "fast": 5.0}
    trials = found(lambda choice, x, seed: (x - best[choice]) ** 2 - 5 * bool(choice), choices=("", "fast"))
    assert ranked(trials)[0] == ("fast", 3.2e-2)
    assert ("fast", 6.4e-2) in {trial.arm for trial in trials}


def test_what_diverges_is_not_tried_again_and_bounds_the_search():
    trials = found(lambda choice, x, seed: math.inf if x > 4 else -x)
    assert octaves(trials)[:4] == [2, 3, 4, 5]
    assert Counter(octaves(trials))[5] == 1 and set(octaves(trials)) == {2, 3, 4, 5}
    assert ranked(trials)[0] == ("", 1.6e-2) and ranked(trials)[-1] == ("", 3.2e-2)


def test_a_search_in_which_all_diverge_goes_down():
    trials = found(lambda choice, x, seed: math.inf, count=6)
    assert octaves(trials) == [2, 3, 4, 1, 0, -1]


def test_arms_are_compared_without_what_seeds_add():
    """The second arm has the harder seed as well; by its plain mean it would come last."""
    trials = [Trial("", lr, seed, loss, 1, 0.0) for lr, seed, loss in (
        (0.1, 0, 1.0), (0.2, 0, 0.9), (0.2, 1, 1.9), (0.4, 0, 1.2), (0.4, 1, 2.2))]
    assert [lr for _, lr in ranked(trials)] == [0.2, 0.1, 0.4]


def test_the_smaller_rate_is_better_among_equals():
    trials = [Trial("", lr, 0, 1.0, 1, 0.0) for lr in (0.2, 0.1, 0.4)]
    assert ranked(trials)[0] == ("", 0.1)
