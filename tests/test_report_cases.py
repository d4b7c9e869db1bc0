"""Tasks by name in a report: every pair of task and plugin in a table and a map, what a plugin cannot do in a line."""

from harness.evidence.report.cases import task_blocks
from harness.evidence.report.citation import CitedRow
from harness.evidence.report.document import Figure, Table
from harness.evidence.report.figures import Styles

NUMBER = iter(range(1, 1000))


def row(plugin, metric, value, **fields):
    return CitedRow(suite="s", plugin=plugin, cell_id=plugin, phase="score", metric=metric, value=value,
                    number=next(NUMBER), **{"better": "higher"} | fields)


ROWS = [
    row("a", "accuracy:parity", 1.0, ci_low=0.97, ci_high=1.0, limit=0.95, limit_kind="theory", reason="a leak"),
    row("a", "accuracy:mqar:64x4", 0.5, ci_low=0.4, ci_high=0.6, state_bytes=512),
    row("b", "accuracy:parity", 0.5, ci_low=0.4, ci_high=0.6), row("b", "accuracy:mqar:64x4", 0.9, state_bytes=2048),
    row("b", "accuracy:mqar:128x8", 0.2, state_bytes=4096),
    row("b", "accuracy:hidden", None, status="unsupported", reason="no head"),
    row("a", "accuracy@16:parity", 1.0), row("a", "accuracy@128:parity", 0.7), row("a", "effective_length:parity", 16),
    row("a", "solved:parity", 1.0), row("a", "solved:mqar:64x4", 0.0, reason="nobody solves it"),
    row("b", "solved:parity", 0.0), row("b", "solved:mqar:64x4", 0.0, reason="nobody solves it"),
]


def told(kind):
    return {block.name: block for block in task_blocks(ROWS, Styles()) if isinstance(block, kind)}


def test_every_pair_of_task_and_plugin_has_a_place_with_its_interval():
    table = told(Table)["accuracy by task"]
    texts = [[cell.text for cell in line] for line in table.rows]
    assert table.headings == ["task", "a", "b"]
    assert [line[0] for line in texts] == ["parity", "mqar:64x4", "mqar:128x8", "hidden"]
    assert texts[2][1] == "–" and texts[2][2].startswith("0.2")
    assert "± 0.1" in texts[1][1] and "unsupported" in texts[3][2]


def test_a_line_per_plugin_says_what_it_cannot_do_and_what_tells_nothing():
    table = told(Table)["what each cannot do"]
    lines = {line[0].text: dict(zip(table.headings[1:], (cell.text for cell in line[1:]), strict=True))
             for line in table.rows}
    assert lines["a"] == {"does not solve": "mqar:64x4", "solves": "parity", "no number": "–",
                          "above what theory allows": "parity"}
    assert lines["b"]["does not solve"] == "parity, mqar:64x4" and lines["b"]["no number"] == "hidden"
    assert table.notes == ["mqar:64x4: nobody solves it"]


def test_maps_and_a_family_of_loads_against_the_state_are_drawn():
    assert list(told(Figure)) == ["accuracy-tasks", "accuracy-lengths-a", "accuracy-mqar-state"]


def test_a_suite_without_such_tasks_has_none_of_it():
    assert not list(task_blocks([row("a", "mqar_accuracy@4", 0.5), row("a", "time_s:whole", 1.0)], Styles()))
