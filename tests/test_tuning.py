"""A budget adds up trials, text and time of every search, and flags what was not equal."""

from dataclasses import replace

from conftest import ROOT
from synthetic import tuned

from harness.evidence.comparison.table import page
from harness.evidence.comparison.tuning import tuning_budgets, unequal
from harness.evidence.statistics.optimum import Optimum
from harness.store import Row, Store
from harness.tuning import TUNED


def rows(*results):
    return [row for result in results for row in result.rows]


def test_a_search_is_added_up():
    budget, = tuning_budgets(rows(tuned("ssm", 3)))
    assert (budget.plugin, budget.suite, budget.corpus, budget.seq_len) == ("ssm", "perplexity", "pydoc", 256)
    assert (budget.searches, budget.trials, budget.bytes, budget.seconds) == (1, 3, 600_000, 10.0)
    assert budget.rates == (3e-3,)


def test_every_seed_that_searches_counts_and_is_equal_by_itself():
    """Two searches of three trials are as much tuning as one of three."""
    twice, once = rows(tuned("ssm", 3, seed=0), tuned("ssm", 3, seed=1)), rows(tuned("wave", 3))
    budgets = tuning_budgets(twice + once)
    assert [(b.plugin, b.searches, b.trials, b.seconds) for b in budgets] == [("ssm", 2, 6, 20.0), ("wave", 1, 3, 10.0)]
    assert unequal(budgets) == []


def test_more_trials_or_more_text_are_flagged_and_other_tasks_are_not():
    trials = tuning_budgets(rows(tuned("ssm", 3), tuned("wave", 4), tuned("wave", 9, corpus="markov")))
    assert [[b.plugin for b in found] for found in unequal(trials)] == [["ssm", "wave"]]
    assert len(unequal(tuning_budgets(rows(tuned("ssm", 3), tuned("wave", 3, budget=400_000))))) == 1


def test_a_few_document_starts_more_are_as_much_text():
    budgets = tuning_budgets(rows(tuned("ssm", 3, budget=200_000), tuned("wave", 3, budget=200_300)))
    assert unequal(budgets) == []


def test_a_given_learning_rate_is_no_search():
    given = Row(suite="perplexity", plugin="wave", corpus="pydoc", seq_len=256, metric="learning_rate", value=1e-2)
    budgets = tuning_budgets([*rows(tuned("ssm", 3)), given])
    assert (budgets[1].trials, budgets[1].bytes, budgets[1].seconds, budgets[1].rates) == (0, 0, None, (1e-2,))
    assert len(unequal(budgets)) == 1


def test_a_rate_that_a_score_repeats_is_not_a_second_search():
    search = tuned("ssm", 3)
    score = Row(suite="perplexity", plugin="ssm", corpus="pydoc", seq_len=256, metric="learning_rate", value=3e-3,
                cell_id="score")
    budget, = tuning_budgets([score, *search.rows])
    assert (budget.searches, budget.trials) == (1, 3)


def test_what_a_search_found_stands_beside_what_it_took():
    found = Optimum("conv=4", 3e-3, 2.0, 2e-3, 4e-3, "highest", 1.5, True)
    result = tuned("ssm", 10)
    rate = next(row for row in result.rows if row.metric == "learning_rate")
    rate.reason = f"{TUNED}{found.choice}; {found.note}"
    window = replace(rate, metric="lr_window_octaves", value=found.window, reason="")
    budget, = tuning_budgets([*result.rows, window])
    assert (budget.windows, budget.choices, budget.beyond) == ((1.5,), ("conv=4",), True)
    plain, = tuning_budgets(rows(tuned("ssm", 10)))
    assert (plain.windows, plain.choices, plain.beyond) == ((), (), False)
    assert page([], (), [(budget, replace(plain, plugin="wave"))]).notes[0] == (
        "tuning: perplexity: ssm 10 trials, 2 MB, 10 s, window 1.5 octaves, conv=4, the optimum may lie beyond the "
        "rates tried; wave 10 trials, 2 MB, 10 s")


def test_the_reference_run_has_its_searches():
    results = Store(ROOT / "results/reference/cpu", create=False).results()
    found = [b for b in tuning_budgets(row for r in results for row in r.rows) if b.suite == "perplexity"]
    assert {b.plugin for b in found} >= {"ssm", "phasefield", "baseline"}
    assert all(b.trials >= 3 and b.bytes and b.seconds and len(b.rates) == 1 for b in found)
