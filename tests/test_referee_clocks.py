"""Models that are quicker where they are timed: no input comes twice, and what was timed is asked for again."""

import re

import pytest
import zoo

CAUGHT = ("skips-without-graph", "skips-in-bfloat16")
BY_PLACE = "remembers-the-tensor"


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    names = ("heavy", *CAUGHT, BY_PLACE, "remembers-logits", "tires-of-rounds", "slow-first-call")
    table, done = zoo.run("clocks", names, tmp_path_factory.mktemp("clocks"), "--suite", "throughput", "--rounds", "5",
                          "--dtype", "bfloat16")               # which is the default where a processor computes in it
    assert not table.empty, done.stderr
    return table


def rows(table, name):
    return table[table["plugin"] == name]


def rate(table, name):
    found = rows(table, name)
    return float(found[(found["metric"] == "tokens_per_s") & (found["phase"] == "prefill")]["value"].iloc[0])


@pytest.mark.parametrize("name", CAUGHT)
def test_who_is_another_function_under_the_clock_is_not_timed(table, name):
    found = rows(table, name)
    (failed,) = found[found["status"] == "audit_failed"].to_dict("records")
    assert re.search(r"^round \d+, .* the timed logits are .* std from those of the function", failed["reason"])


def test_who_remembers_by_place_in_memory_is_told_in_every_row(table):
    """Its own answers differ from call to call, so it is not audited; inputs have one place, so it is always wrong."""
    found = rows(table, BY_PLACE)
    timed = found[found["phase"].isin(["prefill", "decode"]) & found["audited"].ne("")]
    assert set(timed["audited"]) == {"no"} and timed["reason"].str.contains("the timed logits are .* std from").all()


def test_nothing_is_gained_by_remembering_what_does_not_come_again(table):
    """Without its thirty rounds over its states it would be several times as quick."""
    assert rate(table, "remembers-logits") < 3 * rate(table, "heavy")


def test_who_changes_with_the_calls_is_not_audited(table):
    assert set(rows(table, "tires-of-rounds")["audited"]) <= {"no", ""}
    assert rows(table, "tires-of-rounds")["reason"].str.contains("not audited: determinism").any()


def test_what_the_first_call_pays_for_the_others_is_told(table):
    (row,) = rows(table, "slow-first-call")[lambda found: found["metric"] == "slow_start_s"].to_dict("records")
    assert float(row["value"]) > 0.5
    assert not (rows(table, "heavy")["metric"] == "slow_start_s").any()


def test_the_honest_ones_are_timed_and_audited(table):
    for name in (zoo.TWIN, "heavy"):
        assert set(rows(table, name)["status"]) == {"ok"}
        assert "yes" in set(rows(table, name)["audited"]) <= {"yes", ""}            # a ratio is of several
