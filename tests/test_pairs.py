"""Rows are matched on what they measure, and refused with the reason where anything else that decides them differs."""

import pytest
from synthetic import HERE, SUITES, failed, run, scored, timed, tuned, weighed

from harness import Cell
from harness.errors import UsageError
from harness.evidence.comparison.pairs import pair_readings
from harness.store import CellResult, Row
from harness.suite import ByValue, Counted, Suite

BITS, SIZES = [20.0, 30.0, 44.0], [10.0, 16.0, 20.0]


def pairs(a, b, **more):
    return pair_readings(run(*a), run(*b), SUITES, **more)


def only(found):
    assert len(found) == 1
    return found[0]


def test_equal_conditions_are_paired_seed_by_seed():
    pair = only(pairs([scored("ssm", BITS, SIZES, seed) for seed in (1, 0)], [scored("ssm", BITS, SIZES, 0)]))
    assert [r.result.cell["seed"] for r in pair.a] == [0, 1]
    assert (len(pair.b), pair.reason) == (1, "")


@pytest.mark.parametrize(("fields", "reason"), [
    ({"corpus": "markov"}, "other corpus (A pydoc, B markov)"),
    ({"sha": "0ther"}, "other corpus bytes (A 5ha of p, B 0ther)"),
    ({"tokenizer": "gpt2"}, "other tokenizer (A bytes, B gpt2)"),
    ({"dtype": "bfloat16"}, "other precision (A float32, B bfloat16)"),
    ({"params": 100_000}, "other size (A 300k parameters, B 100k parameters)"),
    ({"preset": "small", "params": 0}, "other size (A 300k parameters, B small)"),
    ({"budget": 2_500_000}, "other training text (A 1MB, B 2.5MB)"),
    ({"device": "cuda"}, "other device (A cpu, B cuda)"),
    ({"tokenizer": "gpt2", "dtype": "bfloat16"},
     "other tokenizer (A bytes, B gpt2); other precision (A float32, B bfloat16)"),
])
def test_other_conditions_are_refused_with_the_reason(fields, reason):
    pair = only(pairs([scored("ssm", BITS, SIZES)], [scored("ssm", BITS, SIZES, **fields)]))
    assert pair.reason == reason


def reached(name, params):
    plugin, *options = name.split(":")
    result = scored(plugin, BITS, SIZES, options=tuple(tuple(option.split("=")) for option in options))
    result.rows[0].params = params
    return result


@pytest.mark.parametrize(("name", "params", "reason"), [
    ("ssm", 326_000, ""),
    ("ssm", 600_000, "other size (A 300k parameters, B 600k parameters)"),
    ("ssm", 30_000, "other size (A 300k parameters, B 30k parameters)"),
    ("ssm:dim=64", 600_000, ""),                            # what comes of a width was asked for
])
def test_a_model_that_no_width_brings_near_the_size_is_of_another(name, params, reason):
    pair = only(pairs([reached("baseline", 300_100)], [reached(name, params)], plugins=("baseline", name)))
    assert pair.reason == reason
    assert only(pairs([reached(name, params)], [reached(name, params)])).reason == ""


def test_timings_ask_for_the_machine_and_scores_do_not():
    there = {"there": {**HERE, "packages": {"torch": "2.12"}, "git": {"commit": "b"}}, "here": HERE}
    a = run(timed("ssm", [1.0]), scored("ssm", BITS, SIZES))
    b = run(timed("ssm", [1.0], environment="there"), scored("ssm", BITS, SIZES), environments=there)
    b.results[1].environment = "there"
    reasons = {pair.key.metric: pair.reason for pair in pair_readings(a, b, SUITES)}
    assert reasons == {"step_time_s": "other machine or software (A torch 2.11, B torch 2.12)", "bits_per_byte": ""}
    assert pairs([timed("ssm", [1.0])], [timed("ssm", [1.0], threads=2)])[0].reason == "other threads (A 1, B 2)"


def test_checkpoints_may_differ_a_little_in_what_they_have_read():
    def trained(name, seen):
        result = scored(name, BITS, SIZES, checkpoint=f"runs/{name}")
        result.cell["protocol"], result.rows[0].bytes_seen = {}, seen
        return result

    chosen = ("ssm@runs/ssm", "wave@runs/wave")
    assert only(pairs([trained("ssm", 1_000_000)], [trained("wave", 1_010_000)], plugins=chosen)).reason == ""
    assert "other training text" in only(
        pairs([trained("ssm", 1_000_000)], [trained("wave", 1_100_000)], plugins=chosen)).reason


def test_the_equal_one_of_several_is_found():
    """A run may hold two precisions: each meets its own, the third stands alone."""
    single, half = scored("ssm", BITS, SIZES), scored("ssm", BITS, SIZES, dtype="bfloat16")
    found = pairs([half], [single, half])
    assert [(len(pair.a), len(pair.b), pair.reason) for pair in found] == [(1, 1, ""), (0, 1, "")]


def test_length_batch_and_plugin_are_part_of_what_is_measured():
    a = [timed("ssm", [1.0], seq_len=256), timed("wave", [1.0])]
    b = [timed("ssm", [1.0], seq_len=512), timed("ssm", [1.0], batch_size=8), timed("wave:x=1", [1.0])]
    assert all(bool(pair.a) != bool(pair.b) for pair in pairs(a, b))
    assert len(pairs(a, b)) == 5


def test_two_plugins_are_chosen_by_their_selectors():
    plain, wide = scored("ssm", BITS, SIZES), scored("ssm", BITS, SIZES, options=(("layers", "4"),))
    one = run(plain, wide, scored("wave", BITS, SIZES, options=(("tied", "false"),)))
    pair = only(pair_readings(one, one, SUITES, ("ssm:layers=4", "wave")))
    assert (pair.a[0].result.label, pair.b[0].result.label) == ("ssm:layers=4", "wave:tied=false")
    with pytest.raises(UsageError, match="unknown plugin in run 'smm'; did you mean 'ssm'"):
        pair_readings(one, one, SUITES, ("smm", "wave"))


def test_a_case_of_one_plugin_is_none_of_another():
    cell = Cell("kernels", "ssm")
    case = CellResult(cell.record(), [Row(suite="kernels", plugin="ssm", cell_id=cell.id, metric="time_s:scan/cpu",
                                          value=1.0, better="lower", unit="s")])
    assert pair_readings(run(case), run(case), SUITES)
    assert not pair_readings(run(case), run(case), SUITES, ("ssm", "ssm"))


def test_failures_stand_beside_what_they_are_of():
    good = [weighed("ssm", "peak_bytes", 1e6), timed("ssm", [1.0])]
    found = pairs(good, [failed(good[0]), good[1]])
    assert [(pair.key.metric, [row.status for row in pair.failed_b]) for pair in found] == [
        ("peak_bytes", ["oom"]), ("step_time_s", [])]
    assert not found[0].b


@pytest.mark.parametrize("fields", [{"corpus": "markov"}, {"dtype": "bfloat16"}, {"budget": 5_000_000}])
def test_a_failure_under_other_conditions_is_none_of_this_number(fields):
    good = scored("ssm", BITS, SIZES)
    pair = only(pairs([good], [good, failed(scored("ssm", BITS, SIZES, **fields))]))
    assert (len(pair.b), pair.failed_b) == (1, ())


def test_a_text_is_its_bytes_and_its_split_wherever_it_lies():
    """One book in two folders, under two names, is one corpus; other bytes under one name are not."""
    here, there = (scored("ssm", BITS, SIZES, corpus=f"file:/{place}/book.txt", sha="b00k") for place in ("a", "b"))
    assert only(pairs([here], [there])).reason == ""
    assert only(pairs([here], [failed(there)])).failed_b == ()            # a failure tells no bytes
    same = [failed(scored("ssm", BITS, SIZES, corpus=f"file:/{place}/book.txt", text="source+bytes")) for place in "ab"]
    known = scored("ssm", BITS, SIZES, corpus="file:/a/book.txt", text="source+bytes", sha="b00k")
    assert only(pairs([known], same[1:])).failed_b == tuple(same[1].rows)   # but what was read when it was planned
    changed = scored("ssm", BITS, SIZES, corpus="file:/a/book.txt", sha="0ther")
    assert only(pairs([here], [changed])).reason == "other corpus bytes (A b00k, B 0ther)"
    one = run(here, scored("wave", BITS, SIZES, corpus="file:book.txt", sha="b00k"))
    assert only(pair_readings(one, one, SUITES, ("ssm", "wave"))).reason == ""


def test_trained_weights_are_one_checkpoint_under_any_path():
    """Also one that failed; what was trained anew under the same path is still compared with what it was."""
    def trained(path, weights, plugin="ssm"):
        result = scored(plugin, BITS, SIZES, checkpoint=path, weights=weights)
        result.cell["protocol"] = {}
        return result

    here, there = trained("runs/x", "w1"), trained("/home/me/runs/x", "w1")
    assert (len(only(pairs([here], [there])).a), len(only(pairs([here], [there])).b)) == (1, 1)
    assert only(pairs([here], [failed(there)])).failed_b
    assert len(only(pairs([here], [trained("runs/x", "w2")])).b) == 1
    assert [bool(pair.a) for pair in pairs([here], [trained("/home/me/runs/x", "w2")])] == [True, False]
    both = pairs([here, trained("runs/y", "w1")], [here, trained("runs/y", "w1")])
    assert [(len(pair.a), len(pair.b)) for pair in both] == [(1, 1), (1, 1)]


def test_a_tokenizer_is_its_table():
    ours, theirs, other = (scored("ssm", BITS, SIZES, tokenizer=name, tokenizer_code=code) for name, code in (
        ("mine", "source+table"), ("yours", "edited+table"), ("mine", "source+0ther")))
    assert only(pairs([ours], [theirs])).reason == ""
    assert only(pairs([ours], [other])).reason == "other tokenizer bytes (A table, B 0ther)"


def test_of_an_edited_plugin_the_newest_source_alone_takes_part():
    """Two seeds of the old code and one of the new are no three seeds."""
    old = [scored("ssm", BITS, SIZES, seed, code="old") for seed in (0, 1)]
    new = scored("ssm", BITS, SIZES, 0, code="new")
    pair = only(pairs([*old, new], [new]))
    assert [r.result.cell["code"] for r in pair.a] == ["new"]
    assert pair.note == "the newest code; A holds older too"
    lone = scored("ssm", BITS, SIZES, code="old", dtype="bfloat16")
    assert only(pairs([lone, new], [lone])).reason == "other precision (A float32, B bfloat16)"


def test_a_cell_measured_again_after_an_edit_stands_for_both():
    """A directory keeps what was measured before the edit; the latest counts."""
    old, new = (scored("ssm", [value], [10.0], code=code) for value, code in ((20.0, "old"), (30.0, "new")))
    assert only(pairs([old, new], [new])).a[0].row.value == 3.0


def test_of_two_groups_the_common_one_is_taken():
    first = [timed(plugin, [1.0], group="first") for plugin in ("baseline", "ssm")]
    then = [timed("baseline", [2.0], group="then"), timed("wave", [2.0], group="then")]
    one = run(*first, *then)
    pair = only(pair_readings(one, one, SUITES, ("baseline", "ssm")))
    assert {r.result.cell["group"] for r in (*pair.a, *pair.b)} == {"first256"}
    pair = only(pair_readings(one, one, SUITES, ("baseline", "wave")))
    assert {r.result.cell["group"] for r in (*pair.a, *pair.b)} == {"then256"}
    assert pair_readings(one, one, SUITES)[0].a[0].result.cell["group"] == "then256"


def test_what_has_no_direction_several_points_or_no_place_in_its_suite_is_left_out():
    assert pairs([tuned("ssm", 3)], [tuned("ssm", 3)]) == []
    curve = scored("ssm", BITS, SIZES)
    curve.rows = curve.rows * 2
    assert pairs([curve], [curve]) == []


def test_a_suite_that_says_nothing_is_compared_by_its_primary_metrics():
    def result(metric):
        cell = Cell("own", "ssm")
        return CellResult(cell.record(), [Row(suite="own", plugin="ssm", cell_id=cell.id, metric=metric, value=1.0,
                                              better="lower")])

    own = Suite("own", "", lambda request: [], lambda cell, bench: None, primary=("score",))
    assert isinstance(only(pair_readings(run(result("score")), run(result("score")), [own])).a[0].compared, ByValue)
    assert pair_readings(run(result("other")), run(result("other")), [own]) == []


def test_derived_rows_take_part_with_the_cell_they_come_from():
    ours = timed("ssm", [1.0])
    derived = Row(suite="scaling", plugin="ssm", cell_id=ours.cell["id"], metric="largest_length", value=512,
                  better="higher", phase="train", seq_len=256)
    a = run(ours, derived=[derived])
    found = pair_readings(a, a, SUITES)
    assert [pair.key.metric for pair in found] == ["step_time_s", "largest_length"]
    assert isinstance(found[1].a[0].compared, Counted)


@pytest.mark.parametrize(("selector", "found"), [
    ("ssm", "ssm:tied=false"), ("ssm:conv=0", "ssm:conv=0:tied=false"), ("ssm:tied=false", "ssm:tied=false"),
    ("ssm:layers=2", None), ("wave", None), ("wave:ratio=0", "wave:ratio=0.0:tied=false"),
    ("ssm:tied=no:conv=00", "ssm:conv=0:tied=false"), ("ssm:tied=yes", None), ("ssm:conv=1", None),
])
def test_a_selector_finds_its_label_among_the_options_that_a_suite_sets(selector, found):
    """And an ablation beside it is not taken for it; of two that are as near, neither is."""
    tied = ("tied", "false")
    labels = [("ssm", (tied,)), ("ssm", (("conv", "0"), tied)), ("wave", (tied,)), ("wave", (("ratio", "1"),)),
              ("wave", (("ratio", "0.0"), tied))]
    everything = run(*(weighed(plugin, "peak_bytes", 1.0, options=options) for plugin, options in labels))
    assert everything.label_of(selector, "memory") == found
