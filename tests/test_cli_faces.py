"""The command line's faces: help with examples, completion, one shape of JSON, a finished run shown again, silence."""

import json
import re
import shlex

import pytest
import typer
from conftest import ROOT

from harness.cli import app
from harness.commands.options import completion
from harness.registry import load
from harness.run import flags

COMMANDS = typer.main.get_command(app).commands
DEMO = ROOT / "results" / "reference" / "demo"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_help_has_an_example_that_parses(name):
    example = re.fullmatch(r".*Example: harness (\S+) ?([^\n]*)", COMMANDS[name].help.strip(), re.DOTALL)
    assert example[1] == name
    COMMANDS[name].make_context(name, shlex.split(example[2]))


@pytest.mark.parametrize("name", COMMANDS)
def test_every_value_has_a_name_in_help(command, name):
    text = command(name, "--help").stdout
    assert not re.search(r"^ +(-\w, )?--[\w-]+ (<|TEXT|INTEGER|FLOAT|PATH )", text.replace("PATH ", ""), re.MULTILINE)
    assert text.isascii()


def test_what_completes():
    registry = load()

    def of(options, name):
        return completion(flags.flags_of(options)[name])

    assert of(flags.RunOptions, "plugins")("ssm,pha") == ["ssm,phasefield", "ssm,phaserotator"]
    assert of(flags.RunOptions, "suite")("perp") == ["perplexity"]
    assert of(flags.RunOptions, "corpus")("pydoc,ma") == ["pydoc,markov"]
    assert of(flags.TrainOptions, "corpus")("") == list(registry.corpora)
    assert of(flags.RunOptions, "tokenizer")("g") == ["gpt2"]
    assert of(flags.TrainOptions, "device")("c") == ["cpu", "cuda"]
    assert of(flags.RunOptions, "dtype")("") == ["auto", "float32", "bfloat16"]
    assert of(flags.RunOptions, "out") is None
    for command, names in (("audit", ("plugin", "device", "tokenizer")), ("check", ("plugin", "device", "dtype")),
                           ("compare", ("plugins", "suite")), ("claims", ("plugin",)), ("reproduce", ("ids",))):
        parameters = {p.name: p for p in COMMANDS[command].params}
        assert all(parameters[name]._custom_shell_complete for name in names), command


@pytest.mark.parametrize(("arguments", "words"), [
    (("run", "--seed", "3"), "no such option --seed; did you mean --seeds? See harness run --help"),
    (("train", "ssm", "--byts", "3"), "no such option --byts; did you mean --bytes? See harness train --help"),
    (("run", "--frobnicate"), "--frobnicate; see harness run --help"),
    (("run", "--suite"), "requires an argument; see harness run --help"),
    (("audit",), "see harness audit --help"),
    (("rum",), "Did you mean 'run'? See harness --help"),
])
def test_a_wrong_option_names_the_nearest_and_where_to_look(command, arguments, words):
    done = command(*arguments)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.rstrip("\n").endswith(words)


@pytest.mark.parametrize(("arguments", "kinds"), [
    (("plugins",), {"plugin"}), (("suites",), {"suite"}), (("corpora",), {"corpus", "tokenizer"}),
    (("corpora", "pydoc"), {"corpus"}), (("doctor",), {"machine"}), (("claims",), {"claim"}), (("show", DEMO), {"row"}),
    (("run", "--suite", "counts", "--plugins", "ssm", "--dry-run"), {"cell"}),
    (("compare", DEMO, "--plugins", "baseline,phasefield"), {"comparison", "growth", "tuning", "rule"}),
    (("reproduce", "wave-speed", "--dry-run"), {"cell"}), (("claim", "wave-speed"), {"claim"}),
], ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_json_is_an_object_a_line_that_tells_its_kind(command, arguments, kinds):
    done = command(*arguments, "--json")
    records = [json.loads(line, parse_constant=pytest.fail) for line in done.stdout.splitlines()]
    assert records
    assert {record["kind"] for record in records} <= kinds


def test_one_corpus_is_described(command, tmp_path):
    path = tmp_path / "lines.txt"
    path.write_text("".join(f"line {i} of a text, {i * i}\n" for i in range(2000)))
    done = command("corpora", f"file:{path}:fold=2")
    facts = dict(line.split("  ", 1) for line in done.stdout.splitlines())
    assert facts["name"].strip() == "lines:fold=2" and len(facts["sha256"].strip()) == 64
    assert sum(int(facts[f"{part} bytes"].replace(",", "")) for part in ("train", "heldout")) == path.stat().st_size
    assert facts["seen 13grams share"].strip() == "0.00%"
    for selector, code in ((f"file:{path}:fold=10", 2), ("file:nowhere.txt", 4), ("pydok", 2)):
        done = command("corpora", selector)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (code, "", 1)


def both(toy, out):
    return "run", "-p", toy, "--suite", "poke,audit", "--plugins", "toy:dim=4,toy", "--seeds", "2", "--out", out


@pytest.fixture(scope="module")
def ran(command, toy, tmp_path_factory):
    out = tmp_path_factory.mktemp("results") / "run"
    return out, command(*both(toy, out))


def test_a_finished_run_is_shown_as_it_was_printed(command, toy, ran):
    out, done = ran
    assert command("show", out, "-p", toy).stdout == done.stdout
    rows = command("show", out, "-p", toy, "--json").stdout
    assert rows == command(*both(toy, out), "--json").stdout


def test_nothing_to_show_is_a_file_error(command, tmp_path):
    done = command("show", tmp_path / "none")
    assert (done.returncode, done.stderr.count("\n")) == (4, 1)


def test_quiet_prints_results_alone_and_verbose_each_step(command, toy, ran):
    out, _ = ran
    run = ("run", "-p", toy, "--suite", "poke", "--plugins", "toy", "--out", out, "--seeds", "3")
    quiet = command(*run, "-q")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert "3 rows ok" in quiet.stdout
    verbose = command(*run[:-1], "4", "-v")
    assert "poke toy seed 3 begins" in verbose.stderr
    assert "3 of 4 cells are finished already" in verbose.stderr
    failing = command(*run[:-1], "0", "-q")
    assert failing.stderr.startswith("harness: --seeds must be")


@pytest.mark.parametrize(("arguments", "step", "result"), [
    (("audit", "ssm", "--params", "5k", "--seq-len", "16"), "audit ssm pydoc T=16 begins", "passed"),
    (("train", "ssm", "--params", "5k", "--bytes", "5k", "--device", "cpu"), "last.safetensors at step", "generate"),
    (("check", "ssm", "--seq-len", "9"), "ssm: split law ok", "lines hold"),
], ids=lambda value: value[0] if isinstance(value, tuple) else "")
def test_every_command_that_takes_long_can_be_silent_and_can_tell_more(command, tmp_path, arguments, step, result):
    out = ["--out", tmp_path / "quiet"] if arguments[0] == "train" else []
    quiet = command(*arguments, *out, "-q")
    assert (quiet.returncode, quiet.stderr) == (0, "")
    assert result in quiet.stdout
    out = ["--out", tmp_path / "verbose"] if arguments[0] == "train" else []
    verbose = command(*arguments, *out, "-v")
    assert step in verbose.stderr
    assert result in verbose.stdout


def test_a_quiet_check_shows_what_fails(command, tmp_path):
    (tmp_path / "bad.py").write_text("raise ImportError('no such part')\n")
    done = command("check", tmp_path / "bad.py", "-q")
    assert done.returncode == 3
    assert "no such part" in done.stdout
    assert "0 of 1 lines hold" in done.stdout


NARROW_FAULT = '''from harness import TokenizerSpec, hookimpl
@hookimpl
def harness_tokenizers():
    return [TokenizerSpec(name="tok", target=f"{__name__}:no_function_of_so_long_a_name_as_this", summary="x")]
'''


@pytest.mark.parametrize("width", [40, 60, 120])
def test_a_check_loses_no_word_on_a_narrow_terminal(command, tmp_path, width):
    (tmp_path / "narrow.py").write_text(NARROW_FAULT)
    wide = command("check", tmp_path / "narrow.py").stdout
    narrow = command("check", tmp_path / "narrow.py", COLUMNS=str(width)).stdout
    assert "no_function_of_so_long_a_name_as_this" in wide
    assert sorted(narrow.split()) == sorted(wide.split())
    assert max(len(line) for line in narrow.splitlines() if " " in line.strip()) <= width


def test_the_options_of_a_plugin_for_machines(command):
    (record,) = [one for one in map(json.loads, command("plugins", "--options", "--json").stdout.splitlines())
                 if one["name"] == "phasefield"]
    assert {"name": "banks", "values": "str+...", "default": "auto"} in record["options"]
    assert "tiny" in record["sizes"]


def test_one_is_not_many(command, toy, tmp_path):
    run = ("run", "-p", toy, "--suite", "poke", "--plugins", "toy", "--out", tmp_path / "run")
    assert "1 cell, 1 to measure" in command(*run, "--dry-run").stdout
    done = command(*run)
    assert "1 row ok" in done.stdout
    assert "1 cell in " in done.stderr
    assert "1 of 1 cell is finished already" in command(*run).stderr


@pytest.mark.parametrize("width", [40, 80, 120])
@pytest.mark.parametrize("run", ["demo", "cpu"])
def test_the_tables_of_a_run_stay_whole_on_narrow_terminals(command, width, run):
    """Words and numbers of the widest layout are those of every narrower one."""
    folder = ROOT / "results" / "reference" / run
    lines = command("show", folder, COLUMNS=str(width)).stdout.splitlines()
    assert all(len(line) <= width for line in lines[:-1])               # the last one is a path
    words = set(re.split(r"[\s*×]+", " ".join(lines)))
    wide = command("show", folder, COLUMNS="400").stdout
    values = re.findall(r"\d+(?:\.\d+)? ± [\d.]+", wide)
    assert len(values) > 10
    assert {part for value in values for part in value.split(" ± ")} <= words
