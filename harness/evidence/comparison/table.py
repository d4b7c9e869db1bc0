"""A comparison as people read it: a table with its notes, for a terminal or as GitHub Markdown. (no torch)

The metric stands as `--fail-on` takes it, SUITE.METRIC@PHASE. What a verdict rests on is a footnote, and beside it
stands the effect that would have been found. What was refused or stands alone is told below, once for all rows that
share the reason.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from rich import box
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from ...labels import ShortLabels
from ...store import Row
from ..format import ASCII, format_value, supports_unicode
from ..tables.fitting import Fitting
from .compare import Comparison
from .gate import GateOutcome, written_metric
from .tuning import TuningBudget, unequal

STYLES = {"better": "green", "worse": "red", "same": "dim", "within noise": "dim"}
VALUES = ("a", "b", "effect", "detects", "verdict")         # what a line ends with
RANKED = ("better", "worse", "same", "within noise")


@dataclass
class Page:
    """Headings, lines of the table (the verdict last, with its footnote), and the notes below it."""

    headings: list[str]
    lines: list[list[str]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def page(rows: Sequence[Comparison], growth: Sequence[Row] = (),
         budgets: Sequence[tuple[TuningBudget, TuningBudget]] = (), outcomes: Sequence[GateOutcome] = (),
         names: tuple[str, str] | None = None) -> Page:
    """Everything that `harness compare` tells. `names`: of the two plugins, where not two runs are compared."""
    labels = ShortLabels(names or (row.plugin_b for row in rows))
    a, b = map(labels.of, names or ("A", "B"))
    found = Page(["metric", "T", *([] if names else ["plugin"]), a, b, f"{b} / {a}", "detects", "verdict"])
    footnotes: dict[str, int] = {}
    where = _places(rows)
    for row in (row for row in rows if row.verdict in RANKED):
        mark = footnotes.setdefault(row.how or row.reason, len(footnotes) + 1)
        found.lines.append([
            written_metric(row), where[id(row)], *([] if names else [labels.of(row.plugin_b)]), _value_text(row.a, row),
            _value_text(row.b, row), effect_text(row), _detects(row), f"{row.verdict} [{mark}]"])
    found.notes += [f"[{number}] {text}" for text, number in footnotes.items()]
    found.notes += _set_apart(rows) + [_growth(row) for row in growth] + [_tuned(*pair) for pair in budgets]
    found.notes += labels.notes
    found.notes.append(_summary(rows))
    found.notes += [line for outcome in outcomes for line in gate_lines(outcome)]
    return found


def _places(rows: Sequence[Comparison]) -> dict[int, str]:
    """The length of each row, and of batch, corpus and rung what the rows of its metric do not share."""
    found: dict[int, str] = {}
    for _, group in groupby(sorted(rows, key=written_metric), written_metric):
        own = list(group)
        batches, corpora = ({getattr(row, name) for row in own} for name in ("batch_size", "corpus"))
        for row in own:
            words = [f"{row.seq_len or ''}", f"B={row.batch_size}" * (len(batches) > 1), row.rung,
                     row.corpus * (len(corpora) > 1)]
            found[id(row)] = " ".join(filter(None, words))
    return found


def _value_text(value: float | None, row: Comparison) -> str:
    return "–" if value is None else format_value(value, row.unit)


def effect_text(row: Comparison) -> str:
    """The ratio, or the difference with its sign, and its interval."""
    if row.effect is None:
        return ""
    unit, sign = ("×", "") if row.scale == "ratio" else ("", "+")
    text = _three_digits(row.effect, sign) + unit
    if row.low is None or row.high is None or row.low == row.high:
        return "+" * (row.effect > 0) + format_value(row.effect, "B") if sign and row.unit == "B" else text
    return f"{text} ({_three_digits(row.low, sign)}{' to ' if sign else '–'}{_three_digits(row.high, sign)})"


def _three_digits(value: float, sign: str = "") -> str:
    """Three digits: 0.927, 1.10, 12.3."""
    if not math.isfinite(value):
        return "∞" if value > 0 else f"{value}"
    places = 2 - math.floor(math.log10(abs(value))) if value else 2
    return f"{value:{sign}.{min(max(places, 0), 4)}f}"


def _detects(row: Comparison) -> str:
    """The effect that would have been found."""
    if row.detectable is None:
        return ""
    return f"{_three_digits(row.detectable)}×" if row.scale == "ratio" else f"±{_three_digits(row.detectable)}"


def _set_apart(rows: Sequence[Comparison]) -> list[str]:
    """What was refused, by reason; what only one side has, by suite."""
    apart: dict[tuple[str, str, str], dict[str, set[str]]] = {}
    for row in rows:
        if row.verdict not in RANKED:
            place = (row.verdict, row.suite, row.reason)
            plugins = " and ".join(dict.fromkeys(filter(None, [row.plugin_a, row.plugin_b])))
            apart.setdefault(place, {}).setdefault(plugins, set()).add(row.metric)
    return [f"{verdict}: {suite} of {', '.join(plugins)} ({', '.join(sorted(set().union(*plugins.values())))})"
            + (f": {reason}" if reason else "") for (verdict, suite, reason), plugins in apart.items()]


def _growth(row: Row) -> str:
    place = f"growth: {row.suite} {row.phase}: {row.label} {row.reason}"
    if row.value is None:
        return place
    places = 2 if row.metric == "relative_exponent" else 0
    value, *ends = (f"{end:.{places}f}" for end in (row.value, row.ci_low, row.ci_high) if end is not None)
    interval = f" ({ends[0]} to {ends[1]})" if len(ends) == 2 else ""
    if row.metric == "relative_exponent":
        return f"{place}: the ratio grows as T^{value}{interval}, {row.unit}"
    return f"{place}, T = {value}{interval}"


def _tuned(a: TuningBudget, b: TuningBudget) -> str:
    """Both budgets of a task, and whether they are equal."""
    def words(budget: TuningBudget) -> str:
        if not budget.trials:
            return "learning rate given"
        parts = [f"{budget.trials} trials", format_value(budget.bytes, "B") if budget.bytes else "",
                 format_value(budget.seconds, "s") if budget.seconds else "",
                 f"window {' and '.join(f'{window:.1f}' for window in budget.windows)} octaves" * bool(budget.windows),
                 " and ".join(budget.choices), "the optimum may lie beyond the rates tried" * budget.beyond]
        return ", ".join(filter(None, parts))

    names = ("A", "B") if a.plugin == b.plugin else (a.plugin, b.plugin)
    place = f"{a.suite} {a.plugin}" if a.plugin == b.plugin else a.suite
    flag = "unequal: " if unequal((a, b)) else ""
    return f"tuning: {flag}{place}: {names[0]} {words(a)}; {names[1]} {words(b)}"


def _summary(rows: Sequence[Comparison]) -> str:
    counts = Counter(row.verdict for row in rows)
    tests = sum(row.p_holm is not None for row in rows)
    order = [*RANKED, *(verdict for verdict in counts if verdict not in RANKED)]
    text = ", ".join(f"{verdict} {counts[verdict]}" for verdict in order if counts[verdict])
    return text + (f"; 95 % intervals, verdicts corrected for {tests} test{'s' * (tests > 1)} (Holm)" if tests else "")


def gate_lines(outcome: GateOutcome) -> list[str]:
    """What a rule found, a line for each comparison that it holds for or that noise leaves open."""
    lines = []
    for word, rows in (("holds", outcome.held), ("undecided", outcome.undecided)):
        for row in rows:
            where = f" T={row.seq_len}" if row.seq_len else ""
            plugins = " / ".join(dict.fromkeys(filter(None, [row.plugin_b, row.plugin_a])))
            found = row.reason or "no ratio" * (row.effect is not None)
            found = found if row.ratio is None else f"{_three_digits(row.ratio)}×"
            text = ", ".join(filter(None, [found, row.verdict if word == "undecided" else ""]))
            lines.append(f"fail-on {outcome.rule.text}: {word}: {plugins}: {written_metric(row)}{where}: {text}")
    return lines or [f"fail-on {outcome.rule.text}: does not hold"]


def to_rich(found: Page, unicode: bool | None = None) -> Group:
    """For a terminal: a table with a section for each suite, or records where it does not fit; `unicode` defaults to
    what standard output can encode."""
    plain = not supports_unicode(unicode)
    if plain:
        found = _in_ascii(found)
    notes = [Text(note) for note in found.notes]
    tables = [_table(one, plain) for one in (found, _narrower(found), _narrower(found, without=("detects",)))]
    return Group(*([Fitting(tables, _records(found))] if found.lines else []), *notes)


def _narrower(found: Page, without: Sequence[str] = ()) -> Page:
    """Intervals below their effect, the heading of the ratio over two lines; `without` some columns."""
    left_out = {found.headings.index(heading) for heading in without}

    def kept(line: Sequence[str], joint: str, broken: str) -> list[str]:
        return [cell.replace(joint, broken) for at, cell in enumerate(line) if at not in left_out]

    return Page(kept(found.headings, " / ", " /\n"), [kept(line, " (", "\n(") for line in found.lines])


def _table(found: Page, plain: bool) -> Table:
    table = Table(box=box.ASCII2 if plain else box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1 if plain else 2, 0, 0))
    for heading in found.headings:
        table.add_column(heading, no_wrap=True)
    for number, (suite, lines) in enumerate(_by_suite(found)):
        if number:
            table.add_section()
        table.add_row(Text(suite, "bold"))
        for metric, line in lines:
            table.add_row("  " + metric, *(Text(cell) for cell in line[1:-1]), Text(line[-1], _style(line)))
    return table


def _records(found: Page) -> Group:
    """Each line over three: what was measured, the values with their effect, the verdict."""
    places = len(found.headings) - len(VALUES)                  # metric, T, and the plugin of two runs
    one, other, ratio, detects, _ = found.headings[places:]
    texts: list[RenderableType] = [Text(f"{one} -> {other}, {ratio}, {detects}")]
    for suite, lines in _by_suite(found):
        texts.append(Text(suite, "bold"))
        for metric, line in lines:
            length, *plugin = line[1:places]
            a, b, effect, detects, verdict = line[places:]
            texts += [Padding(Text(words, style), (0, 0, 0, indent)) for words, style, indent in (
                (" ".join(filter(None, [metric, length and f"T={length}", *plugin])), "", 2),
                (f"{a} -> {b}  {effect}" + (f"  detects {detects}" if detects else ""), "", 4),
                (verdict, _style(line), 4))]
    return Group(*texts)


def _by_suite(found: Page) -> Iterator[tuple[str, list[tuple[str, list[str]]]]]:
    """Consecutive lines of each suite, with their metrics without it."""
    for suite, lines in groupby(found.lines, lambda line: line[0].partition(".")[0]):
        yield suite, [(line[0].partition(".")[2], line) for line in lines]


def _style(line: Sequence[str]) -> str:
    return STYLES.get(line[-1].rpartition(" [")[0], "")


def _in_ascii(found: Page) -> Page:
    lines = [[cell.translate(ASCII) for cell in line] for line in found.lines]
    return Page([word.translate(ASCII) for word in found.headings], lines, [n.translate(ASCII) for n in found.notes])


def to_markdown(found: Page, unicode: bool | None = None) -> str:
    """A GitHub table and a list of notes."""
    if not supports_unicode(unicode):
        found = _in_ascii(found)

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    table = [line(found.headings), "|" + "---|" * len(found.headings), *map(line, found.lines)]
    return "\n".join([*(table if found.lines else []), "", *(f"- {note}" for note in found.notes)])
