"""The command line: one clear line for every mistake, the documented code, results alone on stdout, nothing lost."""

import json
import re
import signal
import sys
import threading
import time

import pytest
from conftest import PATIENCE_S, start

from harness import registry
from harness.errors import HarnessError
from harness.selector import Selector


@pytest.fixture
def invoke(invoke, monkeypatch, tmp_path):
    """The command in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return invoke


def refused(outcome, code, *words):
    """The outcome is a mistake told in one line."""
    found, out, err = outcome
    assert out == ""
    assert err.count("\n") == 1, err
    assert err.startswith("harness: ")
    for word in words:
        assert word in err
    assert found == code


RUN = ("run", "--suite", "poke", "--plugins", "toy")
DRY = (*RUN, "--dry-run")
SSM = ("run", "--suite", "scaling", "--plugins", "ssm")


@pytest.mark.parametrize(("arguments", "words"), [
    (("run",), ["--suite names no suite"]),
    (("run", "--suite", "scaling"), ["--plugins names no plugin"]),
    (("run", "--suite", "scalin", "--plugins", "ssm"), ["unknown suite 'scalin'; did you mean 'scaling'"]),
    (("run", "--suite", "scaling", "--plugins", "smm"), ["unknown plugin 'smm'; did you mean 'ssm'"]),
    (("run", "--suite", "scaling", "--plugins", "ssm:layrs=2"), ["option of ssm 'layrs'; did you mean 'layers'"]),
    (("run", "--suite", "scaling", "--plugins", "ssm:layers=two"), ["option layers='two' of ssm must be an integer"]),
    (("run", "--suite", "scaling", "--plugins", "ssm:layers"), ["malformed option 'layers'"]),
    (("run", "--suite", "scaling", "--plugins", "ssm::"), ["malformed option ''"]),
    (("run", "--suite", "scaling", "--plugins", ":=,;"), ["malformed selector"]),
    (("run", "--suite", "scaling", "--plugins", "ssm\n"), None),
    (("run", "--suite", "scaling", "--plugins", "baseline:heads=0"), ["baseline refuses these options"]),
    (("run", "--suite", "scaling", "--plugins", "ssm,ssm"), ["selected twice"]),
    ((*SSM, "--corpus", "pydok"), ["unknown corpus 'pydok'; did you mean 'pydoc'"]),
    ((*SSM, "--corpus", ""), ["--corpus names no corpus"]),
    ((*SSM, "--corpus", "file"), ["write file:PATH"]),
    ((*SSM, "--corpus", "markov:sed=1"), ["unknown option of corpus markov 'sed'"]),
    ((*SSM, "--tokenizer", "gpt3"), ["unknown tokenizer 'gpt3'", "'gpt2'"]),
    ((*SSM, "--size", "tyny"), ["unknown size of ssm 'tyny'"]),
    ((*SSM, "--params", "1e15"), ["--params", "less than 1e15"]),
    ((*SSM, "--params", "many"), ["--params", "'many'"]),
    ((*SSM, "--state-bytes", "lots"), ["--state-bytes", "'lots'"]),
    ((*SSM, "--state-bytes", "4k", "--size", "tiny"), ["--size", "--state-bytes", "use one of them"]),
    ((*SSM, "--seq-len", "0"), ["--seq-len", "at least 1"]),
    ((*SSM, "--seeds", "0"), ["--seeds must be between 1 and 1,000, got 0"]),
    ((*SSM, "--seeds", "1000000000"), ["--seeds"]),
    ((*SSM, "--seeds", "one"), ["--seeds", "integer"]),
    ((*SSM, "--batch-size", "-1"), ["--batch-size"]),
    ((*SSM, "--timeout", "nan"), ["--timeout"]),
    ((*SSM, "--timeout", "inf"), ["--timeout"]),
    ((*SSM, "--lr", "nan"), ["--lr must be between 0 and 100"]),
    ((*SSM, "--device", "tpu"), ["--device must be one of auto, cpu, cuda"]),
    ((*SSM, "--dtype", "int8"), ["--dtype must be one of"]),
    (("run", "--no-such-flag"), ["--no-such-flag"]),
    (("rum",), ["rum"]),
    (("audit", "phasfield"), ["unknown plugin 'phasfield'; did you mean 'phasefield'"]),
    (("audit",), ["Missing argument"]),
    (("new", "my-model"), ["lower-case identifier"]),
    (("new", "baseline"), ["'baseline' is already registered"]),
])
def test_a_mistake_is_one_clear_line_and_code_2(invoke, tmp_path, arguments, words):
    outcome = invoke(*arguments, *(["--dry-run"] if arguments[0] == "run" else []))
    if words is None:                                               # surrounding white space is no mistake
        assert outcome[0] == 0
    else:
        refused(outcome, 2, *words)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("source", "words"), [
    ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
    ("raise ValueError('two\\nlines')", "ValueError: two lines"),
    ("while True: pass", "importing mine took longer than 1 s"),
    ("from harness import hookimpl\n@hookimpl\ndef harness_model(): pass", "did you mean 'harness_models'"),
])
def test_a_plugin_file_that_does_not_load_is_code_3(invoke, plugin, source, words, monkeypatch):
    monkeypatch.setattr(registry, "IMPORT_LIMIT_S", 1)
    file = plugin("mine.py", source)
    outcome = invoke("run", "-p", file, "--suite", "scaling", "--plugins", "mine,baseline")
    refused(outcome, 3, "'mine' failed to load", words)
    code, out, _ = invoke("plugins", "-p", file)
    assert code == 0
    assert re.search(r"^mine +broken +.*" + re.escape(words), out, re.MULTILINE)


ODD_CONFIG = '''
from harness import ModelSpec, hookimpl

class Config:
    dim = 1

@hookimpl
def harness_models():
    return [ModelSpec("plain", f"{__name__}:Model", f"{__name__}:Config", "classical", "", ""),
            ModelSpec("absent", f"{__name__}:Model", "no.such.module:Config", "classical", "", "")]
'''


@pytest.mark.parametrize(("name", "words"), [("plain", "is not a dataclass"), ("absent", "ModuleNotFoundError")])
def test_a_config_that_cannot_be_used_is_code_3(invoke, plugin, name, words):
    file = plugin("odd.py", ODD_CONFIG)
    refused(invoke("run", "-p", file, "--suite", "scaling", "--plugins", name), 3, f"{name}: its config", words)
    code, out, _ = invoke("plugins", "-p", file, "--options")
    assert code == 0
    assert words in out
    assert "layers=" in out                                         # the options of those that are in order


def test_a_corpus_without_its_dependency_is_code_3(invoke, monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    monkeypatch.setattr("harness.specs.find_spec", lambda name: None if name == "datasets" else True)
    refused(invoke("run", "--suite", "perplexity", "--plugins", "ssm", "--corpus", "hf:wikitext2"), 3,
            "pip install 'qllm-harness[hf]'")


@pytest.mark.parametrize(("prepare", "flags", "words"), [
    (None, ["--plugin-file", "absent.py"], ["no plugin file", "absent.py"]),
    (None, ["--corpus", "file:absent.txt"], ["cannot read absent.txt: No such file"]),
    (("empty.txt", ""), ["--corpus", "file:empty.txt"], ["empty.txt holds no text"]),
    (None, ["--corpus", "file:."], ["holds no text"]),
    (("notes", "text"), ["--out", "notes"], ["notes is a file, not a results directory"]),
    (("notes", "text"), ["--out", "notes/run"], ["cannot write results to notes/run: Not a directory"]),
    (("run/thesis.tex", ""), ["--out", "run"], ["holds other files (thesis.tex)"]),
    (("run/manifest.json", "{"), ["--out", "run"], ["manifest.json is corrupt"]),
    (("run/manifest.json", '{"name": "app"}'), ["--out", "run"], ["not written by this harness"]),
    (("run/cells/0123456789abcdef.json", '{"cel'), ["--out", "run"], ["0123456789abcdef.json is corrupt", "delete it"]),
    (None, ["--config", "absent.toml"], ["cannot read absent.toml: No such file"]),
    (("bad.toml", "a = "), ["--config", "bad.toml"], ["bad.toml is not TOML"]),
])
def test_a_file_that_cannot_be_used_is_code_4(invoke, tmp_path, prepare, flags, words):
    if prepare:
        (tmp_path / prepare[0]).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / prepare[0]).write_text(prepare[1])
    refused(invoke("run", "--suite", "perplexity", "--plugins", "ssm", *flags), 4, *words)


def test_help_is_there_without_a_command(invoke):
    code, out, err = invoke()
    assert (code, err) == (0, "")
    for command in ("run", "plugins", "suites", "corpora", "audit", "new", "doctor"):
        assert f"\n  {command} " in out


def test_the_documented_codes_are_those_of_the_errors():
    from harness import errors

    documented = {int(code) for code in re.findall(r"^\| (\d+) ", errors.__doc__, re.MULTILINE)}
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, HarnessError)]
    assert {kind.exit_code for kind in kinds} | {0, 130, 143} == documented


def test_a_dry_run_shows_the_matrix_and_leaves_nothing(invoke, toy, tmp_path):
    code, out, err = invoke(*DRY, "-p", toy, "--seeds", "2", "--params", "12k")
    *cells, summary = out.splitlines()
    assert (code, err, len(cells)) == (0, "", 2)
    assert all(re.match(r"[0-9a-f]{16}  missing   poke  toy  12k params", cell) for cell in cells)
    assert summary == "2 cells, 2 to measure (0 of them timed, one at a time) -> results/poke-toy"
    code, out, _ = invoke(*DRY, "-p", toy, "--seeds", "2", "--json")
    assert [(cell["seed"], cell["missing"]) for cell in map(json.loads, out.splitlines())] == [(0, True), (1, True)]
    assert not list(tmp_path.iterdir())


def test_listings_parse_as_json(invoke, toy):
    for command, name in (("plugins", "toy"), ("suites", "poke"), ("corpora", "pydoc")):
        code, out, _ = invoke(command, "-p", toy, "--json")
        assert code == 0
        assert name in [entry["name"] for entry in map(json.loads, out.splitlines())]
    assert "absent needs no_such_package" in invoke("plugins", "-p", toy)[1]


@pytest.mark.parametrize(("toml", "flags", "expected"), [
    ('suite = "poke"\nplugins = ["toy", "toy:dim=3"]\nseeds = 2', [], {"n": 4}),
    ('suite = "poke"\nplugins = "toy"\nseeds = 2', ["--seeds", "3"], {"n": 3}),
    ('suite = "poke"\nplugins = "toy"\nparams = 5000\nbudget = "7k"', [], {"n": 1, "params": 5000, "seconds": 7.0}),
    ('suite = "poke"\nplugins = "toy"\nplugin-file = "absent.py"\nout = "here"', [], {"n": 1, "out": "here"}),
])
def test_a_config_file_says_what_flags_say_and_flags_win(invoke, toy, tmp_path, toml, flags, expected):
    (tmp_path / "run.toml").write_text(toml)
    code, out, err = invoke("run", "--config", "run.toml", "-p", toy, "--dry-run", *flags)
    assert (code, err) == (0, "")
    assert f"{expected['n']} cell{'s' * (expected['n'] > 1)}, " in out
    code, out, _ = invoke("run", "--config", "run.toml", "-p", toy, "--dry-run", "--json", *flags)
    cell = json.loads(out.splitlines()[0])
    assert cell["params"] == expected.get("params", 300_000)
    assert cell["protocol"]["seconds"] == expected.get("seconds", 0)


def test_a_config_file_names_the_plugin_file(invoke, toy, tmp_path):
    (tmp_path / "run.toml").write_text(f'suite = "poke"\nplugins = "toy"\nplugin-file = ["{toy}"]\nout = "a b"\n')
    code, out, _ = invoke("run", "--config", "run.toml", "--dry-run")
    assert code == 0
    assert out.endswith("-> a b\n")


@pytest.mark.parametrize(("toml", "words"), [
    ("sutie = 'poke'", "unknown option in run.toml 'sutie'; did you mean 'suite'"),
    ("seeds = '2'", "seeds in run.toml must be an integer, got '2'"),
    ("seeds = true", "seeds in run.toml must be an integer, got True"),
    ("unaudited = 1", "unaudited in run.toml must be true or false, got 1"),
    ("lr = 'x'", "lr in run.toml must be a number, got 'x'"),
    ("[corpus]\na = 1", "corpus in run.toml must be text"),
    ("seeds = 0", "--seeds must be between 1 and 1,000, got 0"),
])
def test_a_config_file_with_a_mistake_is_code_2(invoke, toy, tmp_path, toml, words):
    (tmp_path / "run.toml").write_text(toml)
    refused(invoke(*DRY, "-p", toy, "--config", "run.toml"), 2, words)


def test_a_new_plugin_is_written_and_told_how_to_try(invoke, monkeypatch):
    monkeypatch.setattr(sys, "path", [*sys.path])
    code, out, _ = invoke("new", "mine", "--directory", "a b")
    assert code == 0
    assert "try it: harness check 'a b' && harness run -p 'a b'" in out
    code, out, _ = invoke("run", "-p", "a b", "--suite", "scaling", "--plugins", "mine,baseline", "--dry-run")
    assert code == 0
    assert " mine " in out
    refused(invoke("new", "mine", "--directory", "a b"), 4, "__init__.py exists")
    assert "mine" not in sys.modules


def test_an_unexpected_interrupt_is_code_130(invoke, monkeypatch):
    def interrupted(files):
        raise KeyboardInterrupt

    monkeypatch.setattr(registry, "load", interrupted)
    refused(invoke("plugins"), 130, "interrupted")


def test_a_reader_that_goes_away_is_no_error(command):
    process = start("plugins")
    process.stdout.close()
    _, err = process.communicate(timeout=PATIENCE_S)
    assert "Traceback" not in err


# Whole runs, one directory for all, so that the machine's limits are measured once


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("results") / "a run"


@pytest.fixture(scope="module")
def common(toy, directory):
    """What the commands that share the directory have in common."""
    return "run", "-p", toy, "--suite", "poke", "--out", directory, "--json"


@pytest.fixture(scope="module")
def first(command, common):
    """A run with a cell that is well and one that fails."""
    return command(*common, "--plugins", "toy,toy:fault=raise")


def stored(directory):
    return {path.name: path.stat().st_mtime_ns for path in (directory / "cells").glob("*.json")}


def test_a_run_with_a_failure_is_done_and_code_1(first, directory):
    rows = [json.loads(line) for line in first.stdout.splitlines()]
    assert first.returncode == 1, first.stderr
    assert [row["status"] for row in rows] == ["ok", "ok", "error"]
    assert "much output" not in first.stdout + first.stderr
    assert "ValueError: a reason in two lines" in first.stderr
    assert "Traceback" not in first.stderr
    assert {path.name for path in directory.iterdir()} == {
        ".at-work", ".writing", "cells", "manifest.json", "table.csv", "table.parquet", "worker.log"}
    assert "Traceback" in (directory / "worker.log").read_text()


def test_the_same_command_again_measures_nothing_twice(first, command, common, directory):
    before = stored(directory)
    again = command(*common, "--plugins", "toy,toy:fault=raise")
    assert again.returncode == 1
    assert "2 of 2 cells are finished already" in again.stderr
    assert "measuring the machine" not in again.stderr
    assert again.stdout == first.stdout
    assert stored(directory) == before


def interrupt(process, after, times=1):
    """Send Ctrl-C when stderr says `after`, and again when the first was answered; (code, stderr, seconds since)."""
    lines, sent, began = [], 0, time.monotonic()
    watchdog = threading.Timer(120, process.kill)
    watchdog.start()
    try:
        for line in process.stderr:
            lines.append(line)
            if (sent == 0 and after in line) or (sent == 1 < times and "stopping" in line):
                time.sleep(0.5)                                     # the next cell has begun
                process.send_signal(signal.SIGINT)
                sent, began = sent + 1, time.monotonic()
        process.stdout.read()
        return process.wait(), "".join(lines), time.monotonic() - began
    finally:
        watchdog.cancel()
        process.kill()
        process.stdout.close()
        process.stderr.close()


def test_one_interrupt_lets_what_runs_finish(first, common, directory):
    before = stored(directory)
    process = start(*common, "--plugins", "toy", "--jobs", "1", "--seeds", "3", "--budget", "1500")
    code, err, _ = interrupt(process, "[1/3]")
    assert code == 130
    assert "stopping: what runs is finished first" in err
    assert "[2/3]" in err
    assert "every finished cell is kept, 1 left; the same command resumes" in err
    assert len(stored(directory)) == len(before) + 2
    assert "Traceback" not in err


def test_a_second_interrupt_stops_at_once_and_keeps_what_is_finished(first, common, directory):
    before = stored(directory)
    process = start(*common, "--plugins", "toy,toy:fault=hang", "--jobs", "1", "--budget", "100")
    code, err, seconds = interrupt(process, "[1/2]", times=2)
    assert code == 130
    assert seconds < 10
    assert "every finished cell is kept, 1 left" in err
    assert len(stored(directory)) == len(before) + 1
    assert not [path for path in (directory / "cells").iterdir() if path.suffix != ".json"]
    assert "Traceback" not in err


def test_a_model_that_has_the_name_of_another_is_ambiguous(invoke, plugin, tmp_path):
    """Not measured under the name of the built-in one: both are told."""
    file = plugin("mybase.py", """
        from harness import ModelSpec, hookimpl

        @hookimpl
        def harness_models():
            return [ModelSpec("baseline", "x:Y", "x:Z", "classical", "", "")]
        """.replace("\n        ", "\n"))
    outcome = invoke("run", "-p", file, "--suite", "counts", "--plugins", "baseline", "--out", tmp_path / "out")
    refused(outcome, 3, "'mybase' failed to load", "'baseline' is already registered by harness.plugins.baseline.model")
    broken = plugin("broken.py", "raise ValueError('no weights')")
    refused(invoke("run", "-p", broken, "--suite", "counts", "--plugins", "ssm", "--out", tmp_path / "out"), 3,
            "'broken' failed to load: ValueError: no weights")
    assert not (tmp_path / "out").exists()


def test_an_option_written_in_two_ways_is_one_model(invoke):
    for selectors in ("ssm:layers=2,ssm:layers=02", "phasefield:episodic=false,phasefield:episodic=no"):
        refused(invoke("run", "--suite", "counts", "--plugins", selectors, "--dry-run"), 2, "selected twice")


def test_a_budget_that_trains_nothing_is_a_mistake(invoke):
    refused(invoke("run", "--suite", "perplexity", "--plugins", "ssm", "--budget", "4", "--dry-run"), 2,
            "--budget must be at least 100 bytes")


def test_a_config_may_begin_with_a_byte_order_mark(invoke, tmp_path):
    (tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbf" + b'suite = "counts"\nplugins = "baseline"\n')
    code, out, _ = invoke("run", "--config", tmp_path / "c.toml", "--dry-run", "--out", tmp_path / "out")
    assert code == 0 and "counts" in out


@pytest.mark.parametrize("name", ["a,b.txt", "lr=3.txt", "x:y@z.txt", "it's \"so\".txt", " edge .txt"])
def test_a_text_may_have_any_name(invoke, tmp_path, name):
    (tmp_path / name).write_text("words " * 400)
    quoted, items = str(Selector("file", name)), json.dumps(["pydoc", "file:" + name])
    (tmp_path / "c.toml").write_text(f"plugins = ['ssm']\ncorpus = {items}")
    in_a_file = [] if "=" in name else [["--config", "c.toml"]]
    for flags in (["--plugins", "ssm", "--corpus", f"pydoc,{quoted}"], *in_a_file):
        code, out, err = invoke("run", "--suite", "perplexity", *flags, "--dry-run", "--json")
        assert code == 0, err
        assert {json.loads(line)["corpus"] for line in out.splitlines()} == {"pydoc", quoted}
    if "=" in name:
        refused(invoke(*SSM, "--corpus", f"file:{name}", "--dry-run"), 2, f"quote it: {quoted}")
