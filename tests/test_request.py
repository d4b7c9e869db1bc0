"""Request: flags are resolved for this machine, and what a selected text holds takes part in the hash of a cell."""

import subprocess

import pytest

from harness.errors import FileError, UsageError
from harness.registry import load
from harness.run import request as request_module
from harness.run.flags import RunOptions
from harness.run.request import (
    make_executor,
    make_request,
    pick_executor,
    resolve_device,
    resolve_dtype,
)


@pytest.fixture(scope="module")
def registry():
    return load()


def ask(registry, **options):
    return make_request(registry, RunOptions(**{"suite": "perplexity", "plugins": "ssm", "device": "cpu"} | options))


def cells(registry, **options):
    request = ask(registry, **options)
    return [cell.id for cell in registry.suite("perplexity").plan(request)]


def test_a_corpus_is_read_once_for_all_requests_of_a_command_and_files_every_time(monkeypatch, tmp_path):
    read = []
    digest = request_module.text_digest
    monkeypatch.setattr(request_module, "text_digest", lambda *which: (read.append(str(which[1])), digest(*which))[1])
    path = tmp_path / "text.txt"
    path.write_text("one\n\ntwo\n")
    registry = load()
    for corpus in ("markov,pydoc", "pydoc", f"file:{path}", f"file:{path}"):
        ask(registry, corpus=corpus)
    assert read == ["markov", "pydoc", *[f"file:{path}"] * 2]


@pytest.mark.parametrize("suite", ["memory", "anatomy"])
def test_peaks_and_shares_are_measured_once_for_every_seed(registry, suite):
    plan = registry.suite(suite).plan
    once, thrice = (list(plan(ask(registry, suite=suite, seq_len="64", seeds=seeds))) for seeds in (1, 3))
    assert [cell.seed for cell in thrice] == [0, 1, 2] and thrice[:1] == once


def test_an_edited_text_is_measured_again(registry, tmp_path):
    text, heldout = tmp_path / "a text.txt", tmp_path / "heldout.txt"
    text.write_text("one\n")
    heldout.write_text("two\n")
    corpus = f"file:{text}:heldout={heldout}"
    before = cells(registry, corpus=corpus)
    assert cells(registry, corpus=corpus) == before
    heldout.write_text("tow\n")
    assert not set(cells(registry, corpus=corpus)) & set(before)
    text.write_text("one!\n")
    assert len({*before, *cells(registry, corpus=corpus)}) == 2 * len(before)


def test_a_folder_of_splits_counts_whole(registry, tmp_path):
    for split in ("train", "test"):
        (tmp_path / f"{split}.txt").write_text(split)
    before = cells(registry, corpus=f"file:{tmp_path}")
    (tmp_path / "test.txt").write_text("other")
    assert not set(cells(registry, corpus=f"file:{tmp_path}")) & set(before)


@pytest.mark.parametrize("name", ["absent.txt", ".", "empty.txt", "empty.txt/below", "~nobody/x.txt", "x" * 300])
def test_a_text_that_is_not_there_is_told_before_anything_runs(registry, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").touch()
    with pytest.raises(FileError):
        ask(registry, corpus=f"file:{name}")


def test_the_field_flag_is_an_option_of_the_corpus(registry, tmp_path):
    (tmp_path / "a.jsonl").write_text('{"body": "x"}')
    (_, selector), = ask(registry, corpus=f"file:{tmp_path / 'a.jsonl'}", field="body").corpora
    assert dict(selector.options) == {"field": "body"}
    with pytest.raises(UsageError, match="unknown option of corpus pydoc 'field'"):
        ask(registry, field="body")


def test_flags_become_numbers(registry):
    request = ask(registry, params="1.5k", seq_len="64,1Ki", budget="2MB", seeds=3, batch_size=4, lr=0.1, rounds=7)
    assert (request.params, request.seq_lens, request.budget_bytes) == (1500, (64, 1024), 2_000_000)
    assert (request.seeds, request.batch_size, request.lr, request.rounds) == ((0, 1, 2), 4, 0.1, 7)
    assert ask(registry, plugins="phasefield", size="tiny").params == 0


@pytest.mark.parametrize(("listed", "cuda", "device"), [
    (True, True, "cuda"), (True, False, "cpu"), (False, True, "cpu"),
])
def test_auto_takes_a_gpu_that_torch_can_use(monkeypatch, listed, cuda, device):
    monkeypatch.setattr(request_module, "gpu_listed", lambda: listed)
    monkeypatch.setattr(request_module, "torch_has_cuda", lambda: cuda)
    assert resolve_device("auto") == device
    assert resolve_device("cpu") == "cpu"


def test_a_gpu_that_is_not_there_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(request_module.shutil, "which", lambda name: None)
    with pytest.raises(UsageError, match="no NVIDIA GPU is visible"):
        resolve_device("cuda")


@pytest.mark.parametrize(("output", "code", "listed"), [
    ("GPU 0: NVIDIA H200 (UUID: x)\n", 0, True), ("No devices were found\n", 6, False), ("", 0, False),
])
def test_a_gpu_is_what_the_driver_lists(monkeypatch, output, code, listed):
    monkeypatch.setattr(request_module.shutil, "which", lambda name: "nvidia-smi")
    answer = subprocess.CompletedProcess([], code, output)
    monkeypatch.setattr(request_module.subprocess, "run", lambda command, **_: answer)
    assert request_module.gpu_listed() is listed


def test_a_driver_that_hangs_lists_no_gpu(monkeypatch):
    def hang(command, timeout, **_):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(request_module.shutil, "which", lambda name: "nvidia-smi")
    monkeypatch.setattr(request_module.subprocess, "run", hang)
    assert request_module.gpu_listed() is False


def test_dtypes():
    assert resolve_dtype("float32", "cuda") == "float32"
    assert resolve_dtype("auto", "cuda") == "bfloat16"
    assert resolve_dtype("auto", "cpu") in ("float32", "bfloat16")


def test_the_executor_shares_cores_and_limits_memory(registry, tmp_path, monkeypatch):
    monkeypatch.setattr(request_module.os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    request = ask(registry)

    def made(**options):
        return make_executor(RunOptions(**options), request, [tmp_path / "x.py"], tmp_path / "log")

    assert (made().jobs, made(threads=3).jobs, made(threads=16).jobs, made(jobs=5).jobs) == (8, 2, 1, 5)
    assert made(memory_limit="2GiB").setup.memory_limit == 2 << 30
    with pytest.raises(UsageError, match="--memory-limit must leave room"):
        made(memory_limit="50M")
    assert made().setup.memory_limit == pytest.approx(request_module.available_memory(), rel=0.5)
    assert made().setup.plugin_files == (str(tmp_path / "x.py"),)


def test_an_executor_is_local_or_what_a_plugin_brings(tmp_path):
    file = tmp_path / "remote.py"
    file.write_text(
        "from harness import hookimpl\n\n\n@hookimpl\ndef harness_executor(name, local):\n"
        "    return ('remote', local) if name == 'remote' else None\n")
    registry, local = load([file]), object()
    assert pick_executor(registry, RunOptions(), "cpu", local) is local
    assert pick_executor(registry, RunOptions(executor="remote"), "cpu", local) == ("remote", local)
    with pytest.raises(UsageError, match="unknown executor 'nowhere'; known: local, ray"):
        pick_executor(registry, RunOptions(executor="nowhere"), "cpu", local)
