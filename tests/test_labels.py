"""Short labels tell what differs, leave alone what is short or alone, and are read back as what they stand for."""

import pytest
from synthetic import store, weighed

from harness.evidence.comparison.table import page
from harness.evidence.report.compose import build
from harness.evidence.report.document import Figure, Paragraph, Table
from harness.evidence.tables.pivot import Pivot
from harness.labels import LONG, ShortLabels
from harness.reading import Run
from harness.registry import load
from harness.selector import parse_selector

PUBLISHED = "phaserotator:as_published=true:coherence={}:global_tokens=0:lora_rank=0"
VARIANTS = [PUBLISHED.format(0.0), PUBLISHED.format(0.1), "phaserotator", "baseline", "ssm:expand=2", "ssm:expand=4"]


def measured(label):
    """A cell of what a label selects."""
    selector = parse_selector(label)
    return weighed(selector.name, "peak_bytes", 1.0, options=selector.options)


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
    pivot = Pivot(rows, ["peak_bytes"])
    assert {key[0] for key in pivot.keys} == set(map(ShortLabels(VARIANTS).of, VARIANTS))
    assert any(note.startswith("phaserotator:... stands for") for note in pivot.notes)
    assert {row.label for row in rows} == set(VARIANTS)


def test_a_report_has_short_labels_with_one_colour_each_and_whole_selectors_in_its_rows(tmp_path):
    labels = [PUBLISHED.format(0.0), PUBLISHED.format(0.1), "baseline"]
    document = build([store(tmp_path / "run", list(map(measured, labels)))], load())
    blocks = [(section.name, block) for section in document.sections for block in section.blocks]
    told = {}
    for name, table in blocks:
        if isinstance(table, Table):
            told.setdefault(name, set()).update(text for line in table.rows for text in (cell.text for cell in line))
    short = {"phaserotator:coherence=0.0:...", "phaserotator:coherence=0.1:..."}
    assert set(labels) <= told["rows"] and not short & told["rows"]
    assert short <= told["suite-0"] and not set(labels[:2]) & told["suite-0"]
    assert any("phaserotator:... stands for" in span.text for name, block in blocks
               if name == "summary" and isinstance(block, Paragraph) for span in block.spans)
    kinds = {cell.text: cell.spans[0].kind for _, table in blocks if isinstance(table, Table)
             for line in table.rows for cell in line if cell.text in {*short, *labels} and cell.spans[0].kind}
    assert kinds["phaserotator:coherence=0.0:..."] == kinds[labels[0]] != kinds[labels[1]]
    assert not any(labels[0] in str(block.drawing.spec) for _, block in blocks if isinstance(block, Figure))


def test_two_variants_beside_each_other_are_called_by_what_differs():
    found = page([], names=(PUBLISHED.format(0.0), PUBLISHED.format(0.1)))
    assert found.headings[2:4] == ["phaserotator:coherence=0.0:...", "phaserotator:coherence=0.1:..."]
    assert found.notes[0].startswith("phaserotator:... stands for phaserotator:as_published=true:global_tokens")


def test_a_part_of_a_report_shortens_nothing_by_itself(tmp_path):
    """Whole beside a third variant that shares nothing, two variants were short in a suite that has them alone."""
    labels = ["phaserotator:as_published=true", f"phaserotator:as_published=true:coherence=0.5:lora_rank={10 ** 19}"]
    other = measured("phaserotator:lora_rank=2")
    other.cell["suite"] = "counts"
    for one in other.rows:
        one.suite = "counts"
    document = build([store(tmp_path / "run", [*map(measured, labels), other])], load())
    told = {cell.text for section in document.sections if section.name.startswith("suite") for block in section.blocks
            if isinstance(block, Table) for line in block.rows for cell in line}
    assert set(labels) <= told and not any(":..." in text for text in told)
