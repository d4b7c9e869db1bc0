"""A leaderboard: every row is there once under a link of its own, only equals share a ranking, nothing is fetched."""

import re
from html.parser import HTMLParser

import numpy as np
import pytest
from conftest import ROOT
from synthetic import SUITES, failed, finished, row, scored, store, timed, weighed
from typer.testing import CliRunner

from harness import Cell
from harness.cli import app
from harness.evidence.drawing import vega
from harness.evidence.site.anchors import anchors_of
from harness.evidence.site.boards import boards_of
from harness.evidence.site.pages import pages
from harness.evidence.site.site import read_site
from harness.reading import Run
from harness.registry import load

HOSTILE = "<script>alert('x')</script>&\"|`"
SIZES = np.full(20, 1000.0)


class Parsed(HTMLParser):
    """The tags of a page with their attributes, its ids, its links and its words."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.words, self.inside = [], [], []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attributes):
        self.tags.append((tag, dict(attributes)))
        self.inside.append(tag)

    def handle_endtag(self, tag):
        while self.inside and self.inside.pop() != tag:
            pass

    def handle_data(self, data):
        if not self.inside or self.inside[-1] not in ("script", "style"):
            self.words.append(data)

    def all(self, name):
        return [found[name] for _, found in self.tags if found.get(name)]


def bits(value):
    return SIZES * (value + np.linspace(-0.05, 0.05, len(SIZES)))


def sample(name="phasefield"):
    """Two systems scored by two seeds each, a third one out of memory, its memory weighed."""
    scores = [scored(plugin, bits(value + 0.01 * seed), SIZES, seed)
              for plugin, value in (("baseline", 3.0), (name, 2.0)) for seed in (0, 1)]
    return [*scores, failed(scored("ssm", bits(2.5), SIZES), reason="out of memory: 9 GB"),
            weighed("baseline", "peak_bytes", 5e6), weighed(name, "peak_bytes", 7e6)]


def runs_of(*directories):
    return read_site(directories, load())


def every_id(site):
    return {name: Parsed(text) for name, text in pages(site) if name.endswith(".html")}


@pytest.fixture
def site(tmp_path):
    return runs_of(store(tmp_path / "here", sample()))


def board_of(site, metric, **conditions):
    found = [board for board in site.boards if board.metric == metric
             and all(str(board.conditions[name]) == value for name, value in conditions.items())]
    assert len(found) == 1
    return found[0]


def assert_complete(site):
    """Every row is on the page of its suite, once, and what links to it is a link on that page to it."""
    made = every_id(site)
    for _, one in site.rows:
        page, _, anchor = site.link(one).partition("#")
        assert made[page].all("id").count(anchor) == 1
        assert f"#{anchor}" in made[page].all("href")
    for name, page in made.items():
        ids = page.all("id")
        assert len(ids) == len(set(ids))
        for link in page.all("href"):
            target, _, anchor = link.partition("#")
            if target.endswith(".html") or anchor:
                assert not anchor or anchor in made[target or name].all("id"), link
    assert len(site.anchors) == len(set(site.anchors.values()))


def test_every_row_stands_there_once_with_its_link(site):
    assert len(site.rows) == len(site.anchors) == 7
    assert_complete(site)


def test_the_reference_runs_are_there_row_by_row():
    """A run with curves, derived rows, failures and circuits, and one that repeats some of its measurements."""
    site = runs_of(*(ROOT / "results/reference" / name for name in ("demo", "kernels", "markov", "blocks")))
    assert len(site.rows) == sum(len(run.rows) for run in site.runs)
    assert_complete(site)


def test_a_link_stays_whatever_else_the_site_holds(tmp_path):
    here, more = store(tmp_path / "here", sample()), store(tmp_path / "more", [timed("wave", [1.0, 1.1])], "r2")
    alone, both = runs_of(here), runs_of(more, here)
    assert set(alone.anchors.values()) <= set(both.anchors.values())
    assert {"bits_per_byte.score", "peak_bytes.train"} == {name.partition(".")[2] for name in alone.anchors.values()
                                                           if not name.endswith("oom")}


def test_a_measurement_in_two_folders_is_one_and_another_of_the_same_cell_has_a_link_of_its_own(tmp_path):
    here, copy = store(tmp_path / "here", sample()), store(tmp_path / "copy", sample(), "r2")
    assert len(runs_of(here, copy).rows) == 7
    again = [weighed("baseline", "peak_bytes", 6e6)]
    both = runs_of(here, store(tmp_path / "again", again, "r3"))
    cell = again[0].id
    assert {name for name in both.anchors.values() if cell in name} == {
        f"{cell}.peak_bytes.train", f"r3.{cell}.peak_bytes.train"}
    assert_complete(both)


@pytest.mark.parametrize("other", [
    {"corpus": "book"}, {"tokenizer": "words"}, {"params": 400_000}, {"budget": 2_000_000}, {"dtype": "bfloat16"},
    {"batch_size": 8}, {"sha": "of other text"}], ids=str)
def test_what_is_not_comparable_never_shares_a_ranking(tmp_path, other):
    site = runs_of(store(tmp_path / "run", [scored("baseline", bits(3.0), SIZES), scored("ssm", bits(2.0), SIZES),
                                            scored("wave", bits(1.0), SIZES, **other)]))
    systems = sorted(sorted(entry.label for entry in board.entries) for board in site.boards)
    assert systems == [["baseline", "ssm"], ["wave"]]
    assert_complete(site)


def test_times_of_two_machines_never_share_a_ranking_but_scores_do(tmp_path):
    fast = {"here": {"cpu": {"model": "fast", "cores": 2}, "packages": {"torch": "2"}}}
    slow = {"there": {"cpu": {"model": "slow", "cores": 2}, "packages": {"torch": "2"}}}
    one = store(tmp_path / "one", [timed("baseline", [1.0, 1.1]), scored("baseline", bits(3.0), SIZES)], "r1", fast)
    other = store(tmp_path / "two", [timed("ssm", [0.1, 0.11], environment="there"), scored("ssm", bits(2), SIZES)],
                  "r2", slow)
    found = {(board.metric, tuple(sorted(entry.label for entry in board.entries)))
             for board in runs_of(one, other).boards}
    assert found == {("step_time_s", ("baseline",)), ("step_time_s", ("ssm",)), ("bits_per_byte", ("baseline", "ssm"))}


def test_a_ratio_to_another_plugin_is_in_no_ranking():
    cell = Cell("scaling", "ssm", seq_len=64, protocol=(("role", "time"),))
    run = Run("run", [finished(cell, [row(cell, "time_ratio", 0.5, unit="x baseline", phase="train")])])
    assert not boards_of([run], SUITES, anchors_of([run]))


def numbered(cell, value, half):
    one = weighed(cell, "peak_bytes", value)
    if half is not None:
        one.rows[0].ci_low, one.rows[0].ci_high = value - half, value + half
    return one


def test_a_place_is_shared_where_intervals_overlap(tmp_path):
    """1.0 ± 0.2 and 1.3 ± 0.2 overlap; 2.0 lies above the first alone, 9 above all."""
    site = runs_of(store(tmp_path / "run", [
        numbered("a", 9.0, None), numbered("b", 1.3, 0.2), numbered("c", 1.0, 0.2), numbered("d", 1.45, 0.2)]))
    board = board_of(site, "peak_bytes")
    assert [(place, entry.label) for place, entry in board.ranked()] == [(1, "c"), (1, "b"), (2, "d"), (4, "a")]


def test_seeds_are_one_entry_with_a_link_to_each(site):
    board = board_of(site, "bits_per_byte")
    assert [entry.label for _, entry in board.ranked()] == ["phasefield", "baseline"]
    best = board.ranked()[0][1].places[256].estimate
    assert (best.value, best.n) == (pytest.approx(2.005), 2)
    assert len(board.ranked()[0][1].rows) == 2


def test_who_has_no_number_is_named_beside_the_ranking_with_why(site):
    assert [one.reason for one in board_of(site, "bits_per_byte").failed] == ["out of memory: 9 GB"]
    assert not board_of(site, "peak_bytes").failed
    words = " ".join(every_id(site)["suite-perplexity.html"].words)
    assert re.search(r"Without a number here:\s+ssm \(oom\)", words)


def test_names_are_text_whatever_they_hold(tmp_path):
    made = store(tmp_path / "<i>run", [*sample(HOSTILE), finished(
        cell := Cell(HOSTILE, "p", seq_len=8), [row(cell, HOSTILE, 1.0, unit=HOSTILE, phase=HOSTILE)])])
    site = read_site([made], load(), HOSTILE)
    assert_complete(site)
    for name, text in pages(site):
        if name.endswith(".html"):
            assert "<script>alert" not in text
            scripts = {found.get("src", found.get("type")) for tag, found in Parsed(text).tags if tag == "script"}
            assert scripts <= {"site.js", "plots.js", "application/json"}
            assert "i" not in {tag for tag, _ in Parsed(text).tags}
        assert re.fullmatch(r"[a-z0-9.-]+", name)


def test_nothing_is_fetched_but_files_beside_the_page(site):
    """A link may lead anywhere that a reader wants; what a page loads is a file of the folder."""
    files = {name for name, _ in pages(site)}
    for name, text in pages(site):
        if name.endswith(".html"):
            for tag, found in Parsed(text).tags:
                loads = [found[one] for one in ("src", "srcset", "data", "poster", "action") if found.get(one)]
                loads += [found["href"]] if tag == "link" else []
                assert {load for load in loads if load != "data:,"} <= files
        elif name == "site.css":
            assert "url(" not in text and "@import" not in text
        elif name == "site.js":
            assert "fetch(" not in text and "http" not in text


def test_the_plotting_library_is_there_once(site):
    names = [name for name, _ in pages(site)]
    assert names.count("plots.js") == vega.available()
    assert all(len(text) < 300_000 for name, text in pages(site) if name.endswith(".html"))


def invoke(*arguments):
    return CliRunner().invoke(app, ["site", *map(str, arguments)])


def test_the_command_writes_a_folder_again_and_touches_no_other(tmp_path, monkeypatch):
    run = store(tmp_path / "run", sample())
    for _ in range(2):
        done = invoke(run, "-o", tmp_path / "site")
        assert done.exit_code == 0
        assert "2 rankings, 7 rows" in done.stdout
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").touch()
    error = invoke(run, "-o", tmp_path / "thesis").exception
    assert (error.exit_code, str(error)) == (
        4, f"{tmp_path / 'thesis'} holds other files (thesis.tex); name another folder with -o")
    monkeypatch.setattr(vega, "available", lambda: False)
    done = invoke(run, "-o", tmp_path / "plain")
    assert (done.exit_code, done.stderr) == (0, f"{vega.MISSING}\n")
    assert "<figure" not in (tmp_path / "plain" / "suite-perplexity.html").read_text()


def test_a_run_without_rows_has_a_site(tmp_path):
    site = runs_of(store(tmp_path / "run", []))
    assert "0 rows" in " ".join(every_id(site)["index.html"].words)


def test_what_is_no_run_is_one_clear_line(tmp_path):
    error = invoke(tmp_path / "nowhere", "-o", tmp_path / "site").exception
    assert error.exit_code == 4
    assert str(error).startswith("no results at")
    assert not (tmp_path / "site").exists()
