"""Rescore: kept weights give the stored number again, or a line says which cell does not and why."""

import json
import shutil
from dataclasses import replace

import pytest

from harness.checkpoint import BEST, CONFIG
from harness.errors import FileError, HarnessError
from harness.registry import load
from harness.run.cells import Cell
from harness.run.rescore import WITHOUT_INTERVAL, TextScore, compared_again, kept_weights, plan_again, text_scores
from harness.store import CellResult, Row, Store
from harness.suite import ByDocument

HOW = ByDocument("bits", "bytes")


@pytest.fixture(scope="module")
def finished(command, toy, tmp_path_factory):
    """A folder with a plugin file, a text and a run of two of its models."""
    home = tmp_path_factory.mktemp("rescored")
    shutil.copy(toy, home / "toy.py")
    (home / "text.txt").write_text("\n\n".join(f"{k} bottles of {['beer', 'milk', 'wine'][k % 3]}" for k in range(400)))
    done = command("run", "-p", "toy.py", "--suite", "perplexity", "--plugins", "toy:rate=0.5,toy:dim=4", "--lr",
                   "0.01", "--budget", "2k", "--seq-len", "16", "--corpus", "file:text.txt", "--out", "run", cwd=home)
    assert done.returncode == 0, done.stderr
    return home


@pytest.fixture
def home(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "home")


def rescored(command, home, *arguments):
    """The code, and a record of each score by its plugin."""
    done = command("rescore", "run", "--json", "-q", *arguments, cwd=home)
    assert "Traceback" not in done.stderr
    records = [json.loads(line) for line in done.stdout.splitlines()]
    assert {record["kind"] for record in records} <= {"rescore"}
    return done.returncode, {record["plugin"]: record for record in records}


def test_on_the_same_machine_every_score_comes_again_to_the_bit_and_nothing_is_written(command, home):
    before = {path: path.stat().st_mtime_ns for path in (home / "run").rglob("*")}
    code, records = rescored(command, home, "-p", "toy.py")
    assert (code, set(records)) == (0, {"toy:rate=0.5", "toy:dim=4"})
    assert {(record["comes_again"], record["off"], record["value"] == record["stored"])
            for record in records.values()} == {(True, 0.0, True)}
    assert {path: path.stat().st_mtime_ns for path in (home / "run").rglob("*")} == before


def test_a_changed_source_is_told_whether_or_not_its_scores_come_again(command, home):
    source = (home / "toy.py").read_text()
    assert "h = self.config.rate * h + e" in source
    (home / "toy.py").write_text(source.replace(
        "h = self.config.rate * h + e", "h = self.config.rate * h + (-3 if self.config.dim == 4 else 1) * e"))
    code, records = rescored(command, home, "-p", "toy.py")
    assert code == 1
    same, other = records["toy:rate=0.5"], records["toy:dim=4"]
    assert (same["comes_again"], same["note"]) == (True, "the source of toy has changed since")
    assert (other["comes_again"], other["note"]) == (False, "the source of toy has changed since")
    assert other["reason"].startswith("outside of its interval")
    assert other["off"] == pytest.approx(other["value"] - other["stored"])


def test_another_text_is_told_and_a_score_of_it_does_not_count(command, home):
    with (home / "text.txt").open("a") as file:
        file.write("\n\none more")
    code, records = rescored(command, home, "-p", "toy.py")
    assert code == 1
    assert all(record["reason"].startswith("the text is another here: SHA-256 ") for record in records.values())


def swap(home):
    first, second = sorted((home / "run" / "weights").iterdir())
    first.rename(home / "aside")
    second.rename(first)
    (home / "aside").rename(second)


def flip(home):
    for path in (home / "run" / "weights").glob(f"*/{BEST}"):
        content = path.read_bytes()
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))


def each(name, change):
    def damage(home):
        for path in (home / "run" / "weights").glob(f"*/{name}"):
            change(path)
    return damage


@pytest.mark.parametrize(("damage", "words"), [
    (lambda home: shutil.rmtree(home / "run" / "weights"), "its weights are missing: there is no "),
    (swap, "holds the weights of another cell, c"),
    (flip, "does not hold the bytes that were scored"),
    (each(BEST, lambda path: path.write_bytes(b"no weights")), "is corrupt: "),
    (each(BEST, lambda path: path.unlink()), "holds no weights yet"),
    (each(CONFIG, lambda path: path.unlink()), "no training run at "),
    (each(CONFIG, lambda path: path.write_text("format = 1\n")), "is not the config of a training run"),
    (lambda home: (home / "text.txt").unlink(), "cannot read text.txt"),
    (lambda home: (home / "toy.py").write_text((home / "toy.py").read_text().replace("rate: float", "speed: float")),
     "has a config that toy does not take"),
])
def test_what_stands_in_the_way_is_one_line(home, damage, words, monkeypatch):
    damage(home)
    monkeypatch.chdir(home)
    registry, store = load([home / "toy.py"]), Store(home / "run", create=False)
    scores = text_scores(registry, store.results())
    assert len(scores) == 2
    for score in scores:
        with pytest.raises(HarnessError) as caught:
            plan_again(registry, store, score, {"device": "cpu"})
        assert words in str(caught.value)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("cell", "words"), [
    (Cell("perplexity", "toy"), "its weights were not kept"),
    (Cell("perplexity", "toy", checkpoint="runs/x"), "its weights lie where they were scored from, runs/x"),
])
def test_a_cell_that_kept_nothing_says_where_its_weights_are(tmp_path, cell, words):
    with pytest.raises(FileError, match=words):
        kept_weights(Store(tmp_path), CellResult(cell.record(), [], {}))


def test_what_cannot_be_scored_here_is_a_line_and_code_1(invoke, home, monkeypatch):
    monkeypatch.chdir(home)
    code, out, err = invoke("rescore", "run")
    assert code == 1
    assert out.count("not scored") == 2
    assert out.count("holds a trained 'toy', which is not registered here; load its file with -p") == 2
    assert out.endswith("comes again: 0 of 2 scores\n")
    assert "Traceback" not in err


@pytest.mark.parametrize(("arguments", "code", "words"), [
    (("none",), 4, "no results at none"),
    (("toy.py",), 4, "toy.py is a file"),
    (("empty",), 4, "empty holds no score of a text"),
    (("run", "--jobs", "-1"), 2, "--jobs must be at least 0"),
    (("run", "--timeout", "0"), 2, "--timeout at least 1"),
])
def test_bad_input_is_one_line(invoke, home, monkeypatch, arguments, code, words):
    (home / "empty").mkdir()
    monkeypatch.chdir(home)
    got, out, err = invoke("rescore", *arguments)
    assert (got, out) == (code, "")
    assert words in err
    assert err.count("\n") == 1


def result(value, low=None, high=None, sizes=(10, 30), **row):
    record = Cell("perplexity", "toy").record()
    found = Row(metric="bits_per_byte", value=value, ci_low=low, ci_high=high, **{"corpus_sha256": "a" * 64, **row})
    return CellResult(record, [found], {"bits": [1.0] * len(sizes), "bytes": list(sizes)})


@pytest.mark.parametrize(("again", "reason"), [
    (result(2.2), ""),
    (result(2.5), ""),
    (result(2.51), "outside of its interval, 1.5000 to 2.5000"),
    (result(1.49), "outside of its interval, 1.5000 to 2.5000"),
    (result(2.0, sizes=(30, 10)), "other bytes were scored"),
    (result(2.0, corpus_sha256="b" * 64), "the text is another here: SHA-256 bbbbbbbbbbbb…, not aaaaaaaaaaaa…"),
    (result(None, status="audit_failed", reason="it leaks"), "audit_failed: it leaks"),
    (CellResult({}, [], {}), "ok: no number"),
    (None, "it was not scored again; the same command does"),
])
def test_a_score_comes_again_within_its_interval_on_the_same_bytes(again, reason):
    stored = result(2.0, 1.5, 2.5)
    found = compared_again(TextScore(stored, stored.rows[0], HOW), again, "")
    assert found.reason == reason
    assert found.off == (again.rows[0].value - 2.0 if again and again.rows and again.rows[0].value else None)


def test_raw_measurements_that_are_none_are_told_of_their_cell():
    stored = result(2.0, 1.5, 2.5)
    stored.raw["bytes"] = ["ten"]
    found = compared_again(TextScore(stored, stored.rows[0], HOW), result(2.0), "")
    assert found.reason.startswith(f"cell {stored.id} is corrupt: raw 'bytes'")


def test_the_score_of_one_document_has_no_interval_and_a_thousandth_of_room():
    stored = result(2.0, sizes=(10,))
    score = TextScore(stored, stored.rows[0], HOW)
    near, far = (result(2.0 * (1 + share * WITHOUT_INTERVAL), sizes=(10,)) for share in (0.9, 1.1))
    assert not compared_again(score, near, "").reason
    assert compared_again(score, far, "").reason == "outside of its interval, 1.9980 to 2.0020"


def test_scores_are_rows_that_are_compared_by_the_bits_of_documents():
    stored = result(2.0)
    stored.rows += [replace(stored.rows[0], metric="perplexity_per_byte"), Row(metric="bits_per_byte", status="error")]
    recall = CellResult(Cell("recall", "toy").record(), [Row(metric="mqar_accuracy", value=1.0)])
    assert text_scores(load([]), [stored, recall]) == [TextScore(stored, stored.rows[0], ByDocument(
        "document_bits", "document_bytes"))]
