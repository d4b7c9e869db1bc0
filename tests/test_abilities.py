"""The suite of synthetic tasks: what a command plans, what it refuses, what rows say of length, theory, each other."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from harness.suites import abilities
from harness.suites.ceilings import forbidden

from harness import CellResult, Row, UsageError
from harness.data.abilities.sizes import names_of, task_named
from harness.data.abilities.table import ABILITIES
from harness.registry import load
from harness.run.config_file import ConfigFile
from harness.run.plan import make_plan
from harness.run.request import RunOptions, make_request, with_config

REGISTRY = load()


def planned(plugins="baseline", **flags):
    options = RunOptions(**{"suite": "abilities", "plugins": plugins, "device": "cpu", "dtype": "float32"} | flags)
    names = options.suite.split(",")
    return make_plan(REGISTRY, names, make_request(REGISTRY, options), None, False).cells


def test_a_search_is_shared_by_the_seeds_of_a_task():
    cells = planned(plugins="baseline,ssm", tasks="parity,a5", seeds=3)
    searches = {cell.id: cell for cell in cells if cell.get("role") == "search"}
    scores = [cell for cell in cells if cell.get("role") == "score"]
    assert (len(searches), len(scores)) == (4, 12)
    for cell in scores:
        (search,) = [searches[need] for need in cell.needs]
        assert (search.plugin, search.get("task")) == (cell.plugin, cell.get("task"))
        assert abilities.SHARE * search.get("budget_bytes") == cell.get("budget_bytes")


LATE = {"context-recall", "noisy-recall", "fuzzy-recall", "induction", "needle"}


@pytest.mark.parametrize("task", [name for name, ability in ABILITIES.items() if ability.quick])
def test_a_trial_of_a_task_that_sets_in_late_is_long_enough_for_it(task):
    """And of every other one a fifth of its budget."""
    late = task in LATE or task.startswith("mqar")
    search, score = planned(tasks=task)
    trial, budget = search.get("budget_bytes"), score.get("budget_bytes")
    assert (trial, budget) == ((400_000, 400_000) if late else (50_000, 250_000))
    search, score = planned(tasks=task, budget="1M")
    assert (search.get("budget_bytes"), score.get("budget_bytes")) == (1_000_000 if late else 200_000, 1_000_000)


def test_in_the_size_of_the_paper_every_trial_is_a_fifth():
    search, score = planned(tasks="mqar:64x4", size="paper")
    assert abilities.SHARE * search.get("budget_bytes") == score.get("budget_bytes") == abilities.BUDGET["paper"]


@pytest.mark.parametrize("task", ["mqar:64x4", "memorisation", "parity"])
def test_a_step_of_paper_takes_texts_of_its_own_and_of_quick_as_many_as_make_a_thousand_tokens(task):
    def texts(**flags):
        return {cell.batch_size for cell in planned(tasks=task, **flags)}

    assert texts(size="paper") == {64} and texts(size="paper", batch_size=8) == {8}
    assert texts() == {abilities.BATCH_TOKENS // task_named(task, "quick").length}


def test_the_size_of_tasks_says_nothing_of_suites_that_have_none():
    alone, beside = (planned(suite=suite, size="paper", tasks="parity", plugins="ssm")
                     for suite in ("abilities", "abilities,scaling"))
    assert {cell.batch_size for cell in beside if cell.suite == "scaling"} == {
        cell.batch_size for cell in planned(suite="scaling", plugins="ssm")}
    assert [cell.id for cell in alone] == [cell.id for cell in beside if cell.suite == "abilities"]


def test_quick_asks_tasks_that_are_no_variants_and_paper_asks_all():
    everything = set(ABILITIES)
    assert everything - set(names_of("quick")) == {
        "noisy-recall", "mqar:reassigned", "mqar:compositional", "induction", "z60", "a4xz5", "s5",
        "mqar:128x8", "mqar:256x16", "mqar:512x64", "mqar:based"}           # the latter have the paper's size alone
    assert names_of("paper") == list(ABILITIES)
    assert [cell.get("task") for cell in planned(lr=1e-3)] == names_of("quick")


def test_a_task_in_quick_has_a_vocabulary_of_its_own():
    cells = planned(lr=1e-3, tasks=",".join(name for name, ability in ABILITIES.items() if ability.quick))
    assert {cell.get("size") for cell in cells} == {"quick"}
    for cell in cells:
        size = ABILITIES[cell.get("task")].quick
        tokens = max(int(text.inputs.max()) for texts, setting in size.train
                     for text in [ABILITIES[cell.get("task")].text(setting, "train", 0, i) for i in range(20)])
        assert tokens < int(cell.tokenizer.partition("=")[2])


def test_a_file_of_options_names_tasks_in_a_list():
    file = ConfigFile(Path("c.toml"), "", "", {"tasks": ["mqar:64x4", "parity"], "size": "quick"})
    options = with_config(RunOptions(), file, set())
    assert (options.tasks, options.size) == ("mqar:64x4,parity", "quick")


def test_size_is_of_the_tasks_where_it_is_one_and_a_preset_where_not():
    (paper,) = planned(tasks="mqar:64x4", size="paper", lr=1e-3)
    assert (paper.tokenizer, paper.preset, paper.params) == ("symbols:size=8192", "", 0)
    assert dict(paper.options) == abilities.SHAPE
    (other,) = planned(plugins="ssm", tasks="mqar:64x4", size="paper", lr=1e-3)
    assert dict(other.options) == {"dim": "64", "layers": "2", "tied": "true", "conv": "4"}     # as far as it takes it
    (own,) = planned(plugins="baseline:dim=32", tasks="mqar:64x4", size="paper", lr=1e-3)
    assert (own.params, dict(own.options)) == (abilities.PARAMS, {"dim": "32"})
    (matched,) = planned(tasks="mqar:64x4", size="paper", lr=1e-3, params="50k")
    assert (matched.params, dict(matched.options)) == (50_000, {})
    both = planned(suite="abilities,counts", tasks="parity", size="quick", lr=1e-3)
    assert {(cell.suite, cell.params) for cell in both} == {("abilities", abilities.PARAMS), ("counts", 300_000)}
    (preset,) = planned(plugins="wave", tasks="parity", size="published", lr=1e-3)
    assert (preset.preset, preset.params, preset.get("size")) == ("published", 0, "quick")


@pytest.mark.parametrize(("flags", "words"), [
    ({"tasks": "pariti"}, "unknown task 'pariti'; did you mean 'parity'"),
    ({"tasks": "mqar:512x64"}, "mqar:512x64 has no size quick: use --size paper"),
    ({"tasks": "mqar:64x4", "seq_len": "12"}, "task mqar:64x4: 4 pairs need a length of 16 tokens, not 12"),
    ({"tasks": "mqar:based", "size": "paper", "seq_len": "64"}, "trained at several lengths"),
    ({"suite": "perplexity", "tasks": "parity"}, "none of these suites has tasks"),
    ({"suite": "perplexity", "size": "quick"}, "quick"),
    ({"tasks": "parity", "size": "qick"}, "unknown size .*'qick'.*; tasks have the sizes quick and paper"),
])
def test_what_cannot_be_is_one_line(flags, words):
    with pytest.raises(UsageError, match=words) as told:
        planned(**flags)
    assert told.value.exit_code == 2 and "\n" not in str(told.value)


def test_a_vocabulary_below_the_need_is_refused():
    with pytest.raises(UsageError, match=r"a vocabulary of 8 .* hold no 4 keys"):
        ABILITIES["mqar:64x4"].text({"vocab": 8, "length": 64, "pairs": 4}, "train", 0, 0)


def test_another_length_is_the_same_task_at_that_length():
    first, second = planned(tasks="context-recall", seq_len="64,128", lr=1e-3)
    assert (first.seq_len, second.seq_len) == (63, 127)                 # a text of T tokens has T - 1 inputs
    task = task_named("parity", "quick", 8)
    assert [setting for _, _, setting in task.tests()] == [{"shortest": 3, "length": 8}]
    assert list(task.stretched()) == [8, 16, 32, 64]


def test_tests_of_several_loads_have_labels_and_one_alone_has_none():
    assert [label for label, _, _ in task_named("mqar:based", "paper").tests()][:2] == ["64x4", "64x8"]
    assert [label for label, _, _ in task_named("a5", "quick").tests()] == ["8", "16"]
    assert [label for label, _, _ in task_named("parity", "quick").tests()] == [""]


class Bench:
    """What `ask` needs: rows, raw values and nothing else."""

    def __init__(self):
        self.rows, self.raw = [], {}

    def row(self, metric, value, unit="", better="", **fields):
        self.rows.append(Row(metric=metric, value=value, unit=unit, better=better, **fields))


def asked(name, right, plugin="baseline"):
    """The rows of a model whose share of right answers is `right(setting)`."""
    task, bench = task_named(name, "quick"), Bench()
    given = SimpleNamespace(task=task, ability=SimpleNamespace(known=None),
                            right_answers=lambda forward, setting, texts, seed: np.full(texts, right(setting)))
    cell = SimpleNamespace(plugin=plugin, seed=0, get={"task": name}.get)
    abilities.ask(cell, bench, given, None, {"phase": "score"})
    return {row.metric: row for row in bench.rows}, bench.raw


def test_the_effective_length_is_the_longest_up_to_which_a_task_is_solved():
    rows, _ = asked("parity", lambda setting: 1.0 if setting["length"] <= 32 else 0.6)
    assert rows["effective_length"].value == 32 and rows["effective_length"].limit == 128
    assert rows["effective_length"].reason == "accuracy of 0.95 or more"
    assert asked("parity", lambda setting: 0.94)[0]["effective_length"].value == 0
    gap, _ = asked("parity", lambda setting: 1.0 if setting["length"] != 32 else 0.6)
    assert gap["effective_length"].value == 16                          # what comes after a failure does not count


def test_the_accuracy_of_several_tests_is_that_of_all_their_texts():
    rows, raw = asked("z60", lambda setting: 1.0 if setting["length"] == 8 else 0.5)
    assert rows["accuracy"].value == pytest.approx(0.75) == pytest.approx(np.mean(raw["right@accuracy"]))
    assert (rows["accuracy@8"].value, rows["accuracy@16"].value) == (1.0, 0.5)
    assert set(rows) >= {"accuracy@32", "accuracy@64", "chance", "effective_length"}
    assert rows["accuracy"].ci_low < 0.75 < rows["accuracy"].ci_high


def test_what_theory_forbids_is_a_limit_and_what_is_above_it_says_so():
    rows, _ = asked("parity", lambda setting: 1.0, plugin="ssm")
    assert rows["accuracy"].limit == pytest.approx(0.95) and rows["accuracy"].limit_kind == "theory"
    assert "a leak, an error" in rows["accuracy@128"].reason
    assert not rows["accuracy@16"].limit_kind                           # as long as it was trained on
    rows, _ = asked("parity", lambda setting: 0.6, plugin="ssm")
    assert rows["accuracy"].limit_kind == "theory" and "leak" not in rows["accuracy"].reason
    assert not asked("parity", lambda setting: 1.0, plugin="lstm")[0]["accuracy"].limit_kind
    assert forbidden("baseline", "a5") and not forbidden("baseline", "z60") and not forbidden("lstm", "s5")


def result(plugin, *values, task="parity", reason=""):
    rows = [Row(suite="abilities", plugin=plugin, cell_id=plugin, metric=f"{metric}:{task}", value=value)
            for metric, value in zip(("accuracy", "chance"), values, strict=False)]
    rows += [Row(suite="abilities", plugin=plugin, cell_id=plugin, metric=f"accuracy:{task}", status="error",
                 reason=reason)] if reason else []
    cell = {"id": plugin, "suite": "abilities", "plugin": plugin, "options": {},
            "protocol": {"role": "score", "task": task, "size": "quick", "length": 0, "budget_bytes": 1}}
    return CellResult(cell, rows)


@pytest.mark.parametrize(("accuracies", "words"), [
    ((0.99, 0.97), "everybody solves it"), ((0.5, 0.6), "nobody solves it"), ((0.99, 0.6), "")])
def test_a_task_that_all_or_none_solve_says_nothing(accuracies, words):
    results = [result(name, value, 0.5) for name, value in zip("ab", accuracies, strict=True)]
    rows = [row for row in abilities.conclude(results) if row.metric == "solved:parity"]
    assert [row.value for row in rows] == [float(value >= 0.95) for value in accuracies]
    assert all(words in row.reason and bool(row.reason) == bool(words) for row in rows)


def test_runs_that_diverged_are_counted_and_are_at_chance():
    lost = result("a", reason="training diverged at learning rate 1; set another with --lr")
    rows = abilities.conclude([lost, result("a", 0.99, 0.5), result("b", 0.5, 0.5)])
    (count,) = [row for row in rows if row.metric == "diverged_runs:parity"]
    assert (count.plugin, count.value, count.limit) == ("a", 1.0, 2.0)
    assert {row.plugin: row.value for row in rows if row.metric == "solved:parity"} == {"a": 0.0, "b": 0.0}
    (alone,) = [row for row in abilities.conclude([lost]) if row.metric == "solved:parity"]
    assert alone.value == 0.0
