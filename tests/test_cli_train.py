"""The commands train, watch and generate: what they print, what they refuse, how they end."""

import itertools
import json
import os
import random
import shutil
import signal
import sys
import time
import tomllib
import types

import pandas
import pytest
from conftest import PATIENCE_S, start

from harness import __main__ as command_line
from harness.bench import training_run
from harness.checkpoint import BEST, CONFIG, LAST, TOKENIZER, open_checkpoint
from harness.commands.live import Display, describe, gpu_use, span, summary
from harness.run.training_log import Log, follow

SMALL = ("--params", "2k", "--seq-len", "16", "--batch-size", "4", "--dtype", "float32", "--device", "cpu")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with a text and a trained run of each of two plugins."""
    folder = tmp_path_factory.mktemp("work")
    draw = random.Random(0)
    text = "\n\n".join(" ".join(draw.choices(["alpha", "beta", "of", "the"], k=200)) for _ in range(40))
    (folder / "words.txt").write_text(text)
    for plugin in ("ssm", "baseline"):
        code = execute(folder, "train", f"{plugin}:layers=1", *SMALL, "--corpus", "file:words.txt", "--bytes", "8k",
                       "--lr", "0.02", "--out", f"runs/{plugin}")
        assert code == 0
    return folder


def execute(folder, *arguments):
    """The command in this process; its exit code."""
    before, argv = os.getcwd(), sys.argv                    # noqa: PTH109
    os.chdir(folder)
    sys.argv = ["harness", *map(str, arguments)]
    try:
        command_line.main()
    except SystemExit as end:
        return end.code
    finally:
        os.chdir(before)
        sys.argv = argv
    return 0


def test_training_lowers_the_loss_and_tells_how_it_goes(folder, capsys):
    events = Log(folder / "runs/ssm").events()
    assert [event["event"] for event in events][0::len(events) - 1] == ["start", "end"]
    validations = [event["bits_per_byte"] for event in events if event["event"] == "validation"]
    assert validations[-1] < 0.75 * validations[0]
    (line,) = [event for event in events if event["event"] == "train" and event["share"] == 1]
    assert line["bytes"] >= 8000
    assert line["tokens_per_s"] > 0
    assert line["memory_bytes"] > 1 << 20
    assert line["loss"] == pytest.approx(line["bits_per_byte"] * 0.693, rel=0.05)       # a token is a byte, but BOS
    for event in events:
        Display(terminal=False)(event)
    told = capsys.readouterr().err
    assert "parameters, cpu, float32" in told
    assert "100.0%" in told
    assert "tokens/s" in told
    assert "finished at step" in told


@pytest.mark.parametrize(("arguments", "code", "reason"), [
    (["train", "sssm"], 2, "unknown plugin 'sssm'; did you mean 'ssm'"),
    (["train", "ssm:layer=1"], 2, "did you mean 'layers'"),
    (["train", "ssm@runs/ssm"], 2, "train takes a plugin, not the checkpoint runs/ssm"),
    (["train", "ssm", "--corpus", "file:nowhere.txt", "--out", "runs/a"], 4, "nowhere.txt"),
    (["train", "ssm", "--corpus", "file:words.txt", "--seq-len", "100000", "--out", "runs/b"], 2,
     "fewer than one window of 100000"),
    (["train", "ssm", "--bytes", "many"], 2, "--bytes must be a number"),
    (["train", "ssm", "--lr", "0"], 2, "--lr must be between"),
    (["train", "ssm", "--batch-size", "6", "--accumulate", "4"], 2, "not a multiple of --accumulate 4"),
    (["train", "ssm", "--rule", "hebbian"], 2, "--rule must be one of"),
    (["train", "ssm", "--rule", "local", "--params", "2k", "--out", "runs/c"], 2, "has no local learning rule"),
    (["train", "ssm", "--tokenizer", "byte"], 2, "did you mean 'bytes'"),
    (["train", "ssm", "--out", "runs/ssm"], 4, "holds a training run; go on with --resume"),
    (["train", "ssm", "--out", "words.txt/x"], 4, "cannot write to words.txt/x: Not a directory"),
    (["train", "ssm", "--out", "."], 4, "holds other files"),
    (["train", "ssm", "--out", "runs/none", "--resume"], 4, "no training run at runs/none"),
    (["train", "ssm:layers=1", "--out", "runs/ssm", "--resume", "--lr", "1"], 2, "runs with --lr 0.02, not 1"),
    (["train", "baseline", "--out", "runs/ssm", "--resume"], 2, "runs with --plugin ssm:layers=1, not baseline"),
    (["generate", "runs/none", "x"], 4, "no checkpoint at runs/none"),
    (["generate", "words.txt", "x"], 4, "no training run at"),
    (["generate", "runs/ssm", "x", "--top-p", "2"], 2, "--top-p must be above 0"),
    (["generate", "runs/ssm", "x", "--preset", "wild"], 2, "unknown preset 'wild'"),
    (["generate", "runs/ssm", "x", "--tokens", "0"], 2, "--tokens must be at least 1"),
    (["watch", "runs/none"], 4, "no training run at runs/none"),
    (["run", "--suite", "perplexity", "--plugins", "baseline@runs/ssm"], 2, "holds a trained ssm, not baseline"),
    (["run", "--suite", "perplexity", "--plugins", "ssm@runs/none"], 4, "no checkpoint at runs/none"),
])
def test_a_mistake_is_one_clear_line_and_a_documented_code(folder, capsys, arguments, code, reason):
    assert execute(folder, *arguments) == code
    err = capsys.readouterr().err
    assert reason in err
    assert err.startswith("harness: ")
    assert err.count("\n") == 1


def test_a_finished_run_resumes_to_nothing(folder, capsys):
    before = (folder / "runs/ssm" / LAST).read_bytes()
    assert execute(folder, "train", "ssm:layers=1", "--corpus", "file:words.txt", "--out", "runs/ssm", "--resume") == 0
    assert "is finished" in capsys.readouterr().err
    assert (folder / "runs/ssm" / LAST).read_bytes() == before


def test_generation_reproduces_and_streams_the_prompt_first(folder, capsys):
    texts = []
    for seed in (1, 1, 2):
        assert execute(folder, "generate", "runs/ssm", "the al", "--tokens", 60, "--seed", seed, "--top-k", 0) == 0
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]
    assert texts[0].startswith("the al")
    assert len(texts[0]) > len("the al") + 10


def test_a_trained_tokenizer_stays_with_its_weights(folder, command, capsys):
    trained = ("--tokenizer", "morphological:roots=30", "--corpus", "file:words.txt")
    code = execute(folder, "train", "ssm:layers=1", *SMALL, *trained, "--bytes", "20k", "--out", "runs/parts")
    assert code == 0
    (folder / "other.txt").write_text("nothing that the training text has\n\n" * 60)
    (folder / "parts").mkdir()
    for name in (CONFIG, BEST, TOKENIZER):                  # a run that was copied elsewhere, without its text
        shutil.copy(folder / "runs/parts" / name, folder / "parts")
    capsys.readouterr()
    assert execute(folder, "generate", "parts", "the ", "--tokens", 30) == 0
    words = set(capsys.readouterr().out.split())
    assert len(words & {"alpha", "beta", "of", "the"}) > 1
    scoring = ("run", "--suite", "perplexity", "--plugins", "ssm@parts")
    done = command(*scoring, *trained[:2], "--corpus", "file:other.txt", "--seq-len", "16", "--device", "cpu",
                   "--out", "scored", cwd=folder)
    assert done.returncode == 0, done.stderr
    table = pandas.read_csv(folder / "scored/table.csv")
    assert set(table.status) == {"ok"} and set(table.tokenizer) == {trained[1]}
    assert execute(folder, *scoring, "--tokenizer", "morphological") == 2
    assert "was trained with --tokenizer morphological:roots=30, not morphological" in capsys.readouterr().err
    (folder / "parts" / TOKENIZER).write_text("{}")
    for arguments in (["generate", "parts"], scoring, ["train", "ssm:layers=1", "--out", "parts", "--resume"]):
        assert execute(folder, *arguments) == 4
        err = capsys.readouterr().err
        assert "tokenizer.json is corrupt or of another run" in err
        assert err.startswith("harness: ") and err.count("\n") == 1


def test_comparison_shows_every_checkpoint_on_the_same_prompt(folder, capsys):
    assert execute(folder, "generate", "runs/ssm", "of ", "--compare", "runs/baseline", "--tokens", 20) == 0
    compared = capsys.readouterr().out
    for name in ("runs/ssm", "runs/baseline"):
        assert execute(folder, "generate", name, "of ", "--tokens", 20) == 0
        assert f"== {name} ==\n{capsys.readouterr().out.rstrip(chr(10))}" in compared


def test_watch_tells_where_a_run_stands(folder, capsys):
    assert execute(folder, "watch", "runs/ssm", "--once") == 0
    out = capsys.readouterr().out
    assert "ssm:layers=1" in out
    assert "checkpoint: last.safetensors at step" in out
    assert "finished at step" in out
    assert execute(folder, "watch", "runs/ssm") == 0
    assert "finished at step" in capsys.readouterr().err


def start_of(pid):
    """The first line of a log."""
    return {"event": "start", "pid": pid, "host": os.uname().nodename, "step": 0, "plugin": "ssm", "device": "cpu",
            "dtype": "float32", "world": 1, "params": 7}


def test_watch_follows_what_is_written_until_the_end(folder, monkeypatch):
    run = folder / "runs/followed"
    run.mkdir()
    (run / CONFIG).write_bytes((folder / "runs/ssm" / CONFIG).read_bytes())
    log = Log(run)
    later = iter([start_of(os.getpid()), {"event": "validation", "step": 3, "bits_per_byte": 2.5, "best": True},
                  {"event": "end", "step": 4, "outcome": "finished", "seconds": 1.0}])
    monkeypatch.setattr("harness.run.training_log.time.sleep", lambda _: log(next(later)))
    assert [event["event"] for event in follow(run)] == ["start", "validation", "end"]


def test_watch_ends_where_the_process_is_gone(folder):
    run = folder / "runs/lost"
    run.mkdir()
    (run / CONFIG).write_bytes((folder / "runs/ssm" / CONFIG).read_bytes())
    child = os.posix_spawn("/bin/true", ["true"], {})
    os.waitpid(child, 0)
    Log(run)(start_of(child))
    assert [event["event"] for event in follow(run)] == ["start", "lost"]


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path):
    log = Log(tmp_path)
    log({"event": "validation", "step": 1, "bits_per_byte": 2.5, "best": True})
    with log.path.open("a") as file:
        file.write('{"event": "tra')
    assert [event["step"] for event in log.events()] == [1]
    log.path.unlink()
    for step in (1, 2, 3):
        log({"event": "checkpoint", "step": step, "value": float("nan")})
    log.rewind(2)
    assert [event["step"] for event in log.events()] == [1, 2]


def test_lines_for_people():
    line = describe({"event": "train", "share": 0.25, "step": 7, "left_s": 90.0, "bits_per_byte": 2.5, "loss": 1.73,
                     "lr": 0.003, "tokens_per_s": 12345.0, "memory_bytes": 100 << 20, "gpu": "GPU 87 %, 12.3 GiB"})
    for part in ("25.0%", "step 7", "2.5000 bits/byte", "loss 1.7300", "12.3k tokens/s", "100 MiB", "GPU 87 %",
                 "1 min 30 s left"):
        assert part in line
    assert [span(s) for s in (5, 65, 3661)] == ["5 s", "1 min 05 s", "1 h 01 min"]
    assert summary([]) == ["running"]


def test_gpu_use_comes_from_nvidia_smi(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert gpu_use() == ""
    fake = tmp_path / "nvidia-smi"
    fake.write_text("#!/bin/sh\necho '87, 12595'\necho '0, 0'\n")
    fake.chmod(0o755)
    assert gpu_use() == "GPU 87 %, 12.3 GiB  GPU 0 %, 0.0 GiB"


def test_tensorboard_is_told_or_missed_in_one_line(folder, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    arguments = ["train", "ssm:layers=1", *SMALL, "--corpus", "file:words.txt", "--bytes", "1k", "--tensorboard"]
    assert execute(folder, *arguments, "--out", "runs/missed") == 3
    assert "pip install tensorboard" in capsys.readouterr().err
    scalars = []

    class Writer:
        def __init__(self, where):
            self.where = where

        def add_scalar(self, name, value, step):
            scalars.append((name, value, step))

        def close(self):
            scalars.append("closed")

    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", types.SimpleNamespace(SummaryWriter=Writer))
    assert execute(folder, *arguments, "--out", "runs/told") == 0
    validations = [("validation/bits_per_byte", e["bits_per_byte"], e["step"])
                   for e in Log(folder / "runs/told").events() if e["event"] == "validation"]
    assert [scalar for scalar in scalars if scalar[0] == "validation/bits_per_byte"] == validations
    assert scalars[-1] == "closed"


def test_a_run_that_diverges_exits_with_1(folder, capsys, monkeypatch):
    monkeypatch.setattr(training_run.TrainingRun, "run", lambda self, stop: "diverged")
    code = execute(folder, "train", "ssm:layers=1", *SMALL, "--corpus", "file:words.txt", "--out", "runs/diverged")
    assert code == 1
    assert "training diverged at learning rate 0.003" in capsys.readouterr().err


def test_ctrl_c_saves_and_resume_goes_on(folder, command):
    arguments = ["train", "ssm:layers=1", *SMALL, "--corpus", "file:words.txt", "--out", "runs/stopped"]
    process = start(*arguments, "--minutes", "0.1", cwd=folder)
    log = Log(folder / "runs/stopped")
    try:
        for _ in itertools.takewhile(lambda _: len(log.events()) < 2, range(1200)):
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=PATIENCE_S)
    finally:
        process.kill()
    assert process.returncode == 130, err
    assert out == "runs/stopped: --resume goes on\n"
    stopped = log.events()[-1]
    assert stopped["outcome"] == "interrupted"
    assert open_checkpoint(str(folder / "runs/stopped" / LAST)).metadata["step"] == str(stopped["step"])
    resumed = command("train", "ssm:layers=1", "--out", "runs/stopped", "--resume", cwd=folder)
    assert resumed.returncode == 0, resumed.stderr
    assert f"goes on from step {stopped['step']}" in resumed.stderr
    assert [event["step"] for event in log.events() if event["event"] == "start"] == [0, stopped["step"]]


def test_run_scores_trained_weights_without_training_them(folder, command):
    arguments = ("run", "--suite", "perplexity,memory", "--plugins", "ssm@runs/ssm", "--corpus", "file:words.txt",
                 "--seq-len", "16", "--device", "cpu", "--seeds", "2", "--out", "results")
    done = command(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    table = pandas.read_csv(folder / "results/table.csv")
    assert set(table.status) == {"ok"}
    assert set(table.options) == {"'@runs/ssm"}            # no formula in a spreadsheet
    assert set(pandas.read_parquet(folder / "results/table.parquet").options) == {"@runs/ssm"}
    checkpoint = open_checkpoint(str(folder / "runs/ssm"))
    score, = table[table.metric == "bits_per_byte"].itertuples()   # no search, one seed: the weights are what they are
    assert score.bytes_seen == checkpoint.bytes_seen
    assert score.value == pytest.approx(float(checkpoint.metadata["bits_per_byte"]), rel=0.05)
    weights, = set(table[table.metric == "weights_bytes"].value)         # of both repeats
    assert weights == pytest.approx(checkpoint.weights.stat().st_size, rel=0.2)
    again = command(*arguments, "--dry-run", "--json", cwd=folder)
    assert [json.loads(line)["missing"] for line in again.stdout.splitlines()] == [False] * 3


@pytest.mark.parametrize(("best", "words"), [
    (float("inf"), "interrupted at step 3 after 2 s; no validation yet"),
    (None, "interrupted at step 3 after 2 s; no validation yet"),
    (2.5, "interrupted at step 3 after 2 s; best validation 2.5000 bits/byte"),
])
def test_a_run_that_ends_before_it_is_validated_has_no_best(best, words):
    assert describe({"event": "end", "outcome": "interrupted", "step": 3, "seconds": 2.0, "best": best}) == words


@pytest.mark.parametrize("loss", [float("nan"), float("inf"), None])
def test_a_loss_that_is_not_finite_is_told_in_words(loss):
    event = {"event": "validation", "step": 3, "bits_per_byte": loss, "best": False}
    assert describe(event) == "validation at step 3: not finite bits/byte"


def test_a_finished_run_goes_on_with_a_larger_budget(folder, command):
    run = ("train", "ssm:layers=1", "--params", "2k", "--seq-len", "16", "--batch-size", "8", "--out", "runs/longer")
    assert command(*run, "--bytes", "3k", cwd=folder).returncode == 0
    done = command(*run, "--resume", "--bytes", "6k", cwd=folder)
    assert done.returncode == 0, done.stderr
    assert "goes on from step" in done.stderr and "a larger budget, 5" in done.stderr
    assert tomllib.loads((folder / "runs/longer" / CONFIG).read_text())["train"]["bytes"] == "6k"
    done = command(*run, "--resume", cwd=folder)
    assert (done.returncode, "is finished; it goes on with a larger --bytes" in done.stderr) == (0, True)
    done = command(*run, "--resume", "--bytes", "3k", cwd=folder)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "runs with --bytes 6000; it goes on with more than that, not with 3000" in done.stderr
