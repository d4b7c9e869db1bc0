"""The report holds every number, each linked to its row; names are text whatever they hold; a run may hold nothing."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from typer.testing import CliRunner

from harness import registry as registries
from harness.cli import app
from harness.errors import FileError
from harness.evidence.claims.file import load_claims
from harness.evidence.claims.verdict import RuleFinding, Verdict
from harness.evidence.claims.verdict_file import load_verdicts, save_verdicts
from harness.evidence.drawing import vega
from harness.evidence.report import html, markdown
from harness.evidence.report.citation import CitedRow, cited_rows, give_settings
from harness.evidence.report.compose import build
from harness.evidence.report.notebook import verdict_table
from harness.reading import Run, read_run
from harness.store import SCHEMA, CellResult, Row, Store

HOSTILE = "<script>alert('x')</script>&\"|`\x1b"
REFERENCE = Path(__file__).parent.parent / "results/reference"
VOID = {"meta", "link", "input"}
drawn = pytest.mark.skipif(not vega.available(), reason=vega.MISSING)
MANIFEST = {"schema": SCHEMA, "harness": "0.1.0", "run_id": "r", "created": "2026-01-02T03:04:05+00:00",
            "commands": [{"at": "", "argv": ["harness", "run", "--corpus", "file:a book.txt"]}],
            "environments": {"e": {"cpu": {"model": "Abacus", "cores": 2}, "packages": {"torch": "2.0"}}},
            "limits": {"e": {"cpu": {"copy_bytes_per_s": 1e9}}}}


class Page(HTMLParser):
    """Tags that match, the ids, the links and the text of a page."""

    def __init__(self, text):
        super().__init__()
        self.open, self.ids, self.links, self.tags, self.texts = [], [], [], [], []
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.tags.append((tag, found))
        self.ids += [found["id"]] if "id" in found else []
        self.links += [found["href"]] if "href" in found else []
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append((self.open[-1] if self.open else "", data))

    @property
    def text(self):
        return "".join(data for tag, data in self.texts if tag not in ("script", "style"))


@pytest.fixture(scope="module")
def registry():
    return registries.load()


def cell(cell_id, suite="scaling", **fields):
    return {"id": cell_id, "suite": suite, "plugin": "ours", "options": {}, "corpus": "", "seq_len": 0, "group": "",
            "protocol": {}, "seed": 0, **fields}


def write(directory, *results, manifest=MANIFEST):
    store = Store(directory)
    store.write_manifest(manifest)
    for result in results:
        store.write(result)
    return store.directory


def sample(name="ours"):
    """A small run: times at two lengths with a limit, a third out of memory, and a score that failed its audit."""
    common = {"suite": "scaling", "plugin": name, "device": "cpu", "batch_size": 1, "params": 1234}
    timed = [CellResult(cell(f"t{length}", seq_len=length), [Row(
        **common, cell_id=f"t{length}", seq_len=length, metric="step_time_s", phase="train", unit="s", better="lower",
        value=value, ci_low=0.9 * value, ci_high=1.1 * value, limit=value / 10, limit_kind="compute", started_at="now",
    )]) for length, value in ((128, 0.01234), (256, 0.03456))]
    broken = CellResult(cell("t512", seq_len=512), [Row(**common, cell_id="t512", seq_len=512, status="oom",
                                                       reason="out of memory: 9 GB")])
    failed = CellResult(cell("q", "perplexity"), [Row(
        suite="perplexity", plugin=name, cell_id="q", metric="bits_per_byte", phase="score", status="audit_failed",
        reason="suffix perturbation at length 8: position 3")])
    return [*timed, broken, failed]


def page(*directories, registry, verdicts=()):
    return Page(html.render_html(build(directories, registry, verdicts)))


def blocks(document, name=""):
    """The figures and tables whose names begin so."""
    return [block for section in document.sections for block in section.blocks
            if getattr(block, "name", "").startswith(name) and hasattr(block, "name")]


def strings(value):
    if isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from strings(one)
    elif isinstance(value, str | int | float):
        yield str(value)


def words_of(figure):
    return list(strings(figure.drawing.body))


def records(figure):
    return figure.drawing.body["data"]["values"]


def test_every_number_is_there_and_links_to_its_row(tmp_path, registry):
    made = page(write(tmp_path / "run", *sample()), registry=registry)
    assert len(made.ids) == len(set(made.ids))
    inside = [link for link in made.links if link.startswith("#")]
    assert set(inside) <= {f"#{name}" for name in made.ids}
    for words in ("12.3 ± 1.2 ms", "34.6 ± 3.5 ms", "1234", "oom", "out of memory: 9 GB", "audit_failed", "t128",
                  "0.01234 [0.011106, 0.013574] s", "≥ 1.23 ms"):
        assert words in made.text, words
    rows = {text for tag, text in made.texts if tag == "a"}
    assert {"12.3 ± 1.2 ms", "34.6 ± 3.5 ms", "oom", "audit_failed"} <= rows
    assert {f"#row-{number}" for number in range(1, 5)} <= set(inside)


def test_a_link_leads_to_the_row_of_its_number(tmp_path, registry):
    text = html.render_html(build([write(tmp_path / "run", *sample())], registry))
    number = re.search(r'href="#(row-\d+)"[^>]*>34.6 ± 3.5 ms', text)[1]
    row = text[text.index(f'id="{number}"'):].partition("</tr>")[0]
    assert "34.6 ± 3.5 ms" in row
    assert "t256" in row


def test_the_page_needs_no_network(tmp_path, registry):
    made = page(write(tmp_path / "run", *sample()), registry=registry)
    names = {"src", "href", "data", "action", "srcset", "poster"}
    fetched = [value for tag, found in made.tags for name, value in found.items() if name in names]
    assert all(value.startswith("#") or value == "data:," for value in fetched)
    style = "".join(data for tag, data in made.texts if tag == "style")
    assert "url(" not in style
    assert "@import" not in style


def test_a_name_is_text_whatever_it_holds(tmp_path, registry):
    text = html.render_html(build([write(tmp_path / "<i>run", *sample(HOSTILE))], registry))
    made = Page(text)
    assert not any("alert('x')" in data for tag, data in made.texts if tag == "script" and not data.startswith("{"))
    assert "<script>alert" not in text
    assert "i" not in {tag for tag, _ in made.tags}
    assert "<script>alert('x')</script>&\"|`�" in made.text
    assert "\x1b" not in text


def test_what_failed_is_in_the_plots_and_in_the_table_of_failures(tmp_path, registry):
    document = build([write(tmp_path / "run", *sample())], registry)
    times, = blocks(document, "step_time_s-train")
    assert any("oom: out of memory: 9 GB" in one["title"] for one in records(times))
    failures, audits = blocks(document, "failures"), blocks(document, "audits")
    assert [found.text for found in failures[0].rows[0]] == [
        "ours", "scaling", "whole cell", "512", "oom", "out of memory: 9 GB"]
    assert audits[0].rows[0][-1].text == "suffix perturbation at length 8: position 3"


def test_how_to_repeat_it_is_told(tmp_path, registry):
    made = page(write(tmp_path / "run", *sample()), registry=registry)
    for words in ("harness run --corpus 'file:a book.txt'", "Abacus", "packages torch", "2026-01-02",
                  "limits cpu copy_bytes_per_s"):
        assert words in made.text


@pytest.mark.parametrize("results", [(), tuple(sample()[2:])], ids=["empty", "all failed"])
def test_a_run_without_a_number_has_a_report_that_says_so(tmp_path, registry, results):
    directory = write(tmp_path / "run", *results)
    made = page(directory, registry=registry)
    assert ("nothing was measured" in made.text) == (not results)
    assert ("out of memory: 9 GB" in made.text) == bool(results)
    assert "plotting-library" not in made.ids               # it is heavy, and there is nothing to draw
    assert markdown.write(build([directory], registry), tmp_path / "report.md") == [tmp_path / "report.md"]


def test_verdicts_become_badges_that_lead_to_their_cells(tmp_path, registry):
    finding = RuleFinding("exponent < 1", "confirmed", value=0.9, low=0.8, high=1.0, cells=("t128", "gone"))
    verdicts = [Verdict("memory-half", "half the memory", "seed", "not run"),
                Verdict("linear-time", "time is linear", "seed", "confirmed", findings=(finding,))]
    text = html.render_html(build([write(tmp_path / "run", *sample())], registry, verdicts))
    made = Page(text)
    assert "1 confirmed" in made.text
    assert made.text.index("linear-time") < made.text.index("memory-half")
    assert re.search(r'<a class="cell" href="#row-\d+">t128 </a>', text)
    assert re.search(r'<span class="cell">gone </span>', text)
    assert "badge not-run" in text


CLAIM = {"quote": "half the memory", "source": "our paper", "section": "Abstract", "failure": "It takes as much."}
FINDINGS = (RuleFinding("memory of a / b < 0.5", "refuted", "params 100k", 0.914791, 0.630713, 0.963370, "ratio", "B",
                        "paired by round, 7 rounds", cells=("t128",)),
            RuleFinding("calls of a = 0", "refuted", "size small", 4.0, 4.0, 4.0, "value", "calls", "counted"),
            RuleFinding("score of a < 2", "not run", reason="no cell is there"))
TOLD = ("half the memory", "our paper, Abstract", "memory of a / b < 0.5", "0.9148× [0.6307, 0.9634]", "params 100k",
        "paired by round, 7 rounds", "calls of a = 0", "4 calls, exact", "no cell is there", "t128")


@pytest.mark.parametrize(("verdict", "failing"), [("refuted", True), ("confirmed", False)])
def test_a_verdict_stands_with_everything_it_rests_on_in_every_form(tmp_path, registry, verdict, failing):
    """Rule with threshold, number with interval, protocol, method, source, section, quote, cells; the failure sentence
    where it is refuted, and there only."""
    directory = write(tmp_path / "run", *sample())
    verdicts = [Verdict("memory-half", verdict=verdict, findings=FINDINGS, **CLAIM)]
    document = build([directory], registry, verdicts)
    made = Page(html.render_html(document))
    written = markdown.write(document, tmp_path / "report.md")[0].read_text().replace("\\", "")
    save_verdicts(directory, verdicts)
    notebook = verdict_table(directory)
    cells = " ".join(map(str, notebook.to_numpy().ravel()))
    for words in TOLD:
        assert words in made.text, words
        assert words in written, words
        assert words in cells or "[" in words or "exact" in words or "," in words, words
    for text in (made.text, written, cells):
        assert (CLAIM["failure"] in text) == failing
    assert notebook[["value", "low", "high"]].iloc[0].tolist() == [0.914791, 0.630713, 0.963370]
    assert notebook[["source", "section"]].iloc[0].tolist() == ["our paper", "Abstract"]
    assert "verdict-1" in made.ids
    assert "#verdict-1" in made.links


def test_every_verdict_that_is_shipped_tells_its_section():
    verdicts = load_verdicts(REFERENCE / "claims")
    sections = {claim.id: claim.section for claim in load_claims(registries.load())[0].values()}
    assert {one.claim: one.section for one in verdicts} == {one.claim: sections[one.claim] for one in verdicts}


def test_rows_and_comparisons_are_folded_and_the_fold_says_what_it_holds(registry):
    text = html.render_html(build([REFERENCE / "demo"], registry))
    folds = re.findall("<details><summary>([^<]*)</summary>", text)
    assert folds[0].startswith("phasefield / baseline: better ")
    assert re.fullmatch(r"Show \d+ rows", folds[-1])
    rows = text[text.index('id="rows"'):]
    assert rows.index("<details>") < rows.index('id="row-1"') < rows.index("</details>")


def test_what_is_the_same_in_every_row_stands_once_above(registry):
    table, = blocks(build([REFERENCE / "demo"], registry), "rows")
    assert "device cpu" in table.caption
    assert "device" not in table.headings
    assert {"row", "value", "exactly", "status", "cell"} <= set(table.headings)
    assert {len(line) for line in table.rows} == {len(table.headings)}


def test_runs_are_told_apart_by_name(tmp_path, registry):
    first, second = write(tmp_path / "first", *sample()), write(tmp_path / "second", *sample())
    made = page(first, second, registry=registry)
    assert {"ours · first", "ours · second"} <= {data for _, data in made.texts}
    assert "mean of" not in made.text
    same = page(write(tmp_path / "x/run", *sample()), write(tmp_path / "y/run", *sample()), registry=registry)
    assert f"ours · {tmp_path / 'x/run'}" in same.text


def test_budgets_of_one_plugin_stay_apart_and_seeds_do_not():
    def row(cell_id, **fields):
        return CitedRow(cell_id=cell_id, suite="s", plugin="a", metric="m", **fields)

    cells = {name: {"protocol": protocol, "params": params, "options": {}} for name, protocol, params in (
        ("one", {"budget_bytes": 1_000_000}, 300_000), ("two", {"budget_bytes": 2_000_000}, 300_000),
        ("other role", {"role": "search", "budget_bytes": 5}, 300_000))}
    rows = [row("one", seed=0), row("two", seed=0), row("other role", seed=0)]
    give_settings(rows, cells)
    assert [r.setting for r in rows] == ["budget_bytes=1M", "budget_bytes=2M", "budget_bytes=5"]
    seeds = [row("one", seed=0), row("two", seed=1), row("other role", seed=0)]
    give_settings(seeds, cells)
    assert [r.setting for r in seeds] == ["", "", ""]


def test_a_report_tells_editions_and_texts_by_content():
    """Old code is called so; one text under two names has one name, two of one name have two."""
    def scored_row(cell_id, **fields):
        return Row(suite="perplexity", plugin="a", metric="bits_per_byte", value=1.0, seq_len=64, seed=0,
                   corpus="book", corpus_sha256="1" * 64, cell_id=cell_id, **fields)

    cells = [CellResult({"id": name, "suite": "perplexity", "plugin": "a", "protocol": {}, "code": code, "options": {}},
                        [scored_row(name, code=f"v{code}", started_at=day)])
             for name, code, day in (("c1", "old", "2030-01-01"), ("c2", "new", "2030-01-02"))]
    assert [row.setting for row in cited_rows([Run("one", cells)])] == ["code=old (older)", "code=new"]
    copy, other = replace(cells[1].rows[0], corpus="copy"), replace(cells[1].rows[0], corpus_sha256="2" * 64)
    runs = [Run(name, [replace(cells[1], rows=[row])]) for name, row in (("one", cells[1].rows[0]), ("two", copy))]
    assert [row.corpus for row in cited_rows(runs)] == ["book", "book"]
    runs[1].results[0].rows = [other]
    assert [row.corpus for row in cited_rows(runs)] == ["book (text 11111111)", "book (text 22222222)"]


def test_a_learning_curve_of_leaky_weights_is_not_drawn(registry):
    curve, = blocks(build([REFERENCE / "cpu"], registry), "curves-bytes")
    assert {"ssm", "phasefield", "baseline"} <= set(words_of(curve))
    assert "phasefield:as_published=true" not in words_of(curve)
    assert "phasefield:as_published=true failed its audit" in curve.caption


def trained(plugin, flops, *scores):
    """Cells of one plugin, a seed each: a curve of two points, its operations and rate, a score."""
    results = []
    for seed, score in enumerate(scores):
        common = {"suite": "perplexity", "plugin": plugin, "cell_id": f"{plugin}{seed}", "seed": seed, "seq_len": 64,
                  "bytes_seen": 2000, "unit": "bits/byte", "better": "lower", "params": 1000}
        rows = [Row(**common | {"bytes_seen": seen}, metric="learning_curve", phase="train", value=score + 1000 / seen)
                for seen in (1000, 2000)]
        rows += [Row(**common, metric=name, phase=phase, value=value) for name, phase, value in (
            ("train_flops", "train", flops), ("train_tokens_per_s", "train", 100.0), ("bits_per_byte", "score", score),
            ("perplexity_per_byte", "score", 2.0), ("perplexity_per_token", "score", 4.0))]
        results.append(CellResult(cell(f"{plugin}{seed}", "perplexity", plugin=plugin, seed=seed), rows))
    return results


def test_quality_is_plotted_against_every_cost_that_differs(tmp_path, registry):
    """Half of the bytes took half of the operations; a token of two bytes takes the time of two."""
    document = build([write(tmp_path / "run", *trained("a", 8e9, 2.0, 2.2), *trained("b", 4e9, 3.0))], registry)
    assert [one.name for one in blocks(document, "scores")] == ["scores", "scores-FLOPs"]       # the rest is equal
    titles = {figure.name: [one["title"] for one in records(figure)] for figure in blocks(document, "curves")}
    assert list(titles) == ["curves-bytes", "curves-FLOPs", "curves-time"]
    for name, costs in (("bytes", ("1 kB", "2 kB")), ("FLOPs", ("4 G", "8 G")), ("time", ("5 s", "10 s"))):
        means = [f"{cost}: {value} bits/byte" for cost, value in zip(costs, ("3.1", "2.6"), strict=True)]
        assert [title.split("\n")[1] for title in titles[f"curves-{name}"][:2]] == means


def test_the_floor_of_a_known_source_is_drawn(registry):
    curve, = blocks(build([REFERENCE / "markov"], registry), "curves-bytes")
    assert {words for words in words_of(curve) if words.startswith("entropy")} == {"entropy 2.72"}


def accuracies(plugin, *shares):
    rows = [Row(suite="recall", plugin=plugin, cell_id=plugin, seq_len=64, phase="score", value=share, better="higher",
                metric=f"{task}_accuracy@{n}") for task, n, share in shares]
    chance = replace(rows[0], metric="mqar_chance", value=0.04)
    return CellResult(cell(plugin, "recall", plugin=plugin), [*rows, chance])


def test_accuracies_by_load_become_a_heat_map_per_plugin(tmp_path, registry):
    directory = write(tmp_path / "run", accuracies("a", ("mqar", 4, 0.9), ("mqar", 16, 0.5), ("needle", 8, 0.25)),
                      accuracies("b", ("mqar", 4, 0.1)))
    maps = blocks(build([directory], registry), "accuracy")
    assert [len(records(block)) for block in maps] == [3, 1]
    assert "mqar 0.04" in maps[0].caption
    columns = words_of(maps[0])
    assert columns.index("4") < columns.index("8") < columns.index("16")


def test_a_metric_over_the_number_in_its_name_is_a_line_per_plugin_and_length(tmp_path, registry):
    rows = [Row(suite="s", plugin="a", cell_id="x", seq_len=length, metric=f"trial_loss@{rate}", value=length + 1.0)
            for length in (64, 128) for rate in ("0.001", "1e-2")]
    rows += [Row(suite="s", plugin="a", cell_id="x", metric="mail@home", value=1.0)]
    directory = write(tmp_path / "run", CellResult(cell("x", "s"), rows))
    figure, = blocks(build([directory], registry), "trial_loss-at")
    assert {"a · T=64", "a · T=128", "learning rate · log", "0.001", "0.01"} <= set(words_of(figure))


def test_a_value_that_is_no_number_spoils_nothing(tmp_path, registry):
    odd = replace(registry.suites["scaling"], conclude=lambda results: [
        Row(suite="scaling", plugin="ours", metric="local_slope", seq_len=n, value=float("nan"), ci_low=float("-inf"))
        for n in (128, 256)])
    made = page(write(tmp_path / "run", *sample()),
                registry=replace(registry, suites={**registry.suites, "scaling": odd}))
    assert "nan" not in made.text.split()


def test_many_metrics_stand_below_each_other_and_few_beside_each_other(tmp_path, registry):
    names = registry.suites["recall"].primary
    beside, below = ["plugin", "params", *(name.replace("_", " ") for name in names[:2])], ["metric", "a"]
    for shown, headings in ((names[:2], beside), (names, below)):
        rows = [Row(suite="recall", plugin="a", cell_id="a", seq_len=64, phase="score", value=0.5, metric=name)
                for name in shown]
        directory = write(tmp_path / str(len(shown)), CellResult(cell("a", "recall", plugin="a"), rows))
        table, = blocks(build([directory], registry), "recall")
        assert table.headings == headings
        assert {len(row) for row in table.rows} == {len(headings)}


def test_a_metric_in_parts_has_a_table_of_its_own_and_no_other(tmp_path, registry):
    common = {"suite": "perplexity", "phase": "score", "unit": "bits/byte", "better": "lower"}
    results = [CellResult(cell(name, "perplexity", plugin=name), [
        Row(**common, plugin=name, cell_id=name, metric="bits_per_byte", value=2.5),
        Row(**common, plugin=name, cell_id=name, metric="trial_bits_per_byte@0.01", value=3.5),
        *(Row(**common, plugin=name, cell_id=name, seq_len=n, metric=f"bits_per_byte@{part}", value=value, reason="9 B")
          for n, part, value in ((8, "position_0", 4.5), (16, "position_0", 3.5), (8, "word_unseen", 1.25)))])
        for name in ("a", "b")]
    document = build([write(tmp_path / "run", *results)], registry)
    tables = blocks(document, "perplexity: bits per byte in parts")
    by_length, single = ([[item.text for item in row if item.text] for row in table.rows] for table in tables)
    assert by_length == [["bits/byte@position 0", name, "4.50", "3.50"] for name in ("a", "b")]
    assert single == [[name, "1.25"] for name in ("a", "b")] and not any(table.notes for table in tables)
    others = [block for block in blocks(document, "perplexity") if block not in tables]
    assert not any("position" in heading for block in others for heading in getattr(block, "headings", ()))


def test_parts_of_the_memory_are_stacked(registry):
    figure, = blocks(build([REFERENCE / "cpu"], registry), "memory-1024")
    weighed = {(row.plugin, row.options) for row in read_run(REFERENCE / "cpu", registry).rows
               if (row.suite, row.seq_len, row.status) == ("memory", 1024, "ok")}
    assert {"weights", "gradients + optimiser", "activations", "state"} <= set(words_of(figure))
    assert len(records(figure)) == len(weighed) * (3 + 2)


def test_circuits_are_drawn_over_their_qubits():
    from harness.evidence.report.figures import Styles, circuit_figures

    rows = [CitedRow(suite="circuit", plugin="q", metric="forward_s", value=seconds, unit="s", better="lower",
                  limit=seconds / 2, limit_kind="statevector", n_qubits=qubits)
            for qubits, seconds in ((4, 0.1), (6, 0.4))]
    figure, = circuit_figures(rows, ("forward_s",), Styles())
    assert figure.name == "forward_s-n_qubits"
    assert {"4.0", "6.0", "qubits · log"} <= set(words_of(figure))
    assert "dotted: statevector limit" in " ".join(words_of(figure))
    assert not list(circuit_figures([CitedRow(metric="forward_s", value=1.0)], ("forward_s",), Styles()))


@drawn
def test_markdown_links_to_its_rows_and_has_its_plots_beside_it(tmp_path, registry):
    written = markdown.write(build([write(tmp_path / "run", *sample("a|b*c"))], registry), tmp_path / "report.md")
    text = written[0].read_text()
    anchors = set(re.findall(r'<a id="([^"]+)">', text))
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
    assert {"row-1", "row-4"} <= anchors
    plots = re.findall(r"!\[[^\]]*\]\(([^)]+)\)", text)
    assert plots
    assert [tmp_path / plot for plot in plots] == written[1:]
    assert all(path.read_text().startswith("<svg") for path in written[1:])
    widths = {line.count(" | ") for line in text.splitlines() if r"a\|b\*c" in line and line.startswith("| scaling")}
    assert len(widths) <= 1


def test_a_suite_that_cannot_conclude_says_so(tmp_path, registry):
    def fail(results):
        raise RuntimeError("no slope")

    broken = replace(registry.suites["scaling"], conclude=fail)
    other = replace(registry, suites={**registry.suites, "scaling": broken})
    assert "cannot conclude: RuntimeError: no slope" in page(write(tmp_path / "run", *sample()), registry=other).text


def test_what_an_unknown_suite_measured_is_reported(tmp_path, registry):
    rows = [Row(suite="theirs", plugin="a", cell_id="x", metric="joy", value=float(n), seq_len=n) for n in (2, 4)]
    made = page(write(tmp_path / "run", CellResult(cell("x", "theirs"), rows)), registry=registry)
    assert "theirs" in made.text
    assert [found.get("class") for _, found in made.tags].count("plot") == vega.available()


def invoke(*arguments):
    return CliRunner().invoke(app, ["report", *map(str, arguments)])


def test_the_command_writes_the_form_that_the_name_asks_for(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = write(tmp_path / "run", *sample())
    assert invoke(run).stdout == "report.html\n"
    assert (tmp_path / "report.html").read_text().startswith("<!doctype html>")
    figures = " and 1 figure in" * vega.available()
    assert invoke(run, "--markdown").stdout.startswith(f"report.md{figures}")
    assert invoke(run, "-o", "other.md").stdout.startswith(f"other.md{figures}")
    assert (tmp_path / "other-figures").is_dir() == vega.available()


def test_without_the_plotting_library_a_report_has_its_tables_and_says_why_it_has_no_plots(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(vega, "available", lambda: False)
    run = write(tmp_path / "run", *sample())
    for form in ("r.html", "r.md"):
        done = invoke(run, "-o", form)
        text = (tmp_path / form).read_text()
        assert (done.exit_code, done.stdout, done.stderr) == (0, f"{form}\n", f"{vega.MISSING}\n")
        assert "plots need" in text and "12.3 ± 1.2 ms" in text
        assert "<figure" not in text and "![" not in text
    assert sorted(path.name for path in tmp_path.iterdir()) == ["r.html", "r.md", "run"]


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (["nowhere"], 4, "no results at nowhere; `harness run --out nowhere` makes them"),
    (["empty"], 4, "no results at empty"),
    (["strange"], 4, "strange holds other files (thesis.tex) and no manifest.json"),
    (["file"], 4, "file is a file, not a results directory"),
    (["run", "-o", "missing/report.html"], 4, "cannot write missing/report.html: No such file or directory"),
    (["run", "-o", "missing/report.md"], 4, "cannot write missing/report"),
    (["run", "-o", "folder.html"], 4, "cannot write folder.html: Is a directory"),
    (["run", "-o", "report.pdf"], 2, "-o must name a .html or .md file, not report.pdf"),
    (["run", "-o", "report.html", "--markdown"], 2, "--markdown writes a .md file, not report.html"),
], ids=str)
def test_bad_input_is_one_clear_line(tmp_path, monkeypatch, arguments, code, words):
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "run", *sample())
    for folder in ("empty", "strange", "folder.html"):
        (tmp_path / folder).mkdir()
    for file in ("file", "strange/thesis.tex"):
        (tmp_path / file).touch()
    error = invoke(*arguments).exception
    assert error.exit_code == code
    assert str(error).startswith(words)
    assert "\n" not in str(error)


def test_a_corrupt_cell_is_named(tmp_path, registry):
    directory = write(tmp_path / "run", *sample())
    (directory / "cells" / "t128.json").write_text("{")
    with pytest.raises(FileError, match=r"t128\.json is corrupt"):
        build([directory], registry)


def test_the_reference_runs_all_have_reports(registry):
    directories = sorted(path for path in REFERENCE.iterdir() if (path / "manifest.json").exists())
    made = page(*directories, registry=registry)
    assert {link for link in made.links if link.startswith("#")} <= {f"#{name}" for name in made.ids}
    assert [found.get("class") for _, found in made.tags].count("plot") > 20 * vega.available() - 1
    assert made.ids.count("plotting-library") == vega.available()           # once, however many plots there are
