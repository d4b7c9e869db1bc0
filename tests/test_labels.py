"""Short labels tell what differs, leave alone what is short or alone, and are read back as what they stand for."""

import pytest
from synthetic import weighed

from harness.evidence.tables.pivot import Pivot
from harness.labels import LONG, ShortLabels
from harness.reading import Run
from harness.selector import parse_selector

PUBLISHED = "phaserotator:as_published=true:coherence={}:global_tokens=0:lora_rank=0"
VARIANTS = [PUBLISHED.format(0.0), PUBLISHED.format(0.1), "phaserotator", "baseline", "ssm:expand=2", "ssm:expand=4"]


def measured(label):
    """A cell of what a label selects."""
    selector = parse_selector(label)
    return weighed(selector.name, "state_bytes", 1.0, options=selector.options)


def test_what_all_variants_of_a_plugin_share_is_left_out_and_told_once():
    labels = ShortLabels(VARIANTS)
    assert list(map(labels.of, VARIANTS)) == [
        "phaserotator:coherence=0.0:...", "phaserotator:coherence=0.1:...", *VARIANTS[2:]]
    assert labels.notes == [
        "phaserotator:... stands for phaserotator:as_published=true:global_tokens=0:lora_rank=0"]


@pytest.mark.parametrize("labels", [
    [PUBLISHED.format(0.0), "phaserotator"], [f"a:first={'x' * LONG}", f"a:second={'x' * LONG}"],
    ["a:x=1:y=2", "a:x=1"],
    [f"{PUBLISHED.format(0.0)}@runs/one", f"{PUBLISHED.format(0.1)}@runs/two"], ["a lane:of=its:own", "::"],
], ids=["alone", "nothing shared", "short", "checkpoints", "no selectors"])
def test_a_label_is_left_as_it_is_where_nothing_can_be_left_out(labels):
    found = ShortLabels(labels)
    assert list(map(found.of, labels)) == labels and not found.notes


def test_short_labels_are_as_many_as_labels_and_are_short_already():
    labels = [f"m:a={a}:b={b}:c={'x' * LONG}" for a in range(3) for b in range(3)] + [f"m:c={'x' * LONG}", "m"]
    short = list(map(ShortLabels(labels).of, labels))
    assert len(set(short)) == len(labels) and short[-2:] == ["m:...", "m"]
    assert list(map(ShortLabels(short).of, short)) == short


def test_a_checkpoint_stays_at_the_end():
    labels = [f"m:a={a}:b={'x' * LONG}@runs/one" for a in range(2)]
    assert list(map(ShortLabels(labels).of, labels)) == ["m:a=0:...@runs/one", "m:a=1:...@runs/one"]


def test_a_run_reads_a_short_label_as_the_plugin_that_it_stands_for():
    labels = [*VARIANTS, PUBLISHED.format(0.0).replace("coherence=0.0:", "")]
    run = Run("run", list(map(measured, labels)))
    short = ShortLabels(run.labels())
    assert short.of(labels[-1]) == "phaserotator:..."
    assert [run.label_of(short.of(label), "") for label in labels] == labels


def test_a_table_has_short_labels_and_says_what_they_stand_for_while_its_rows_keep_theirs():
    rows = [row for label in VARIANTS for row in measured(label).rows]
    pivot = Pivot(rows, ["state_bytes"])
    assert {key[0] for key in pivot.keys} == set(map(ShortLabels(VARIANTS).of, VARIANTS))
    assert any(note.startswith("phaserotator:... stands for") for note in pivot.notes)
    assert {row.label for row in rows} == set(VARIANTS)
