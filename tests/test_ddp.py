"""Data parallel training: two gloo processes give the weights of one process with the whole batch."""

import random
import socket
import subprocess
import sys

import pytest
import torch
from conftest import PATIENCE_S, environment
from safetensors.torch import load_file

from harness.bench.distributed import Ranks, device_of
from harness.bench.sharding import share_weights
from harness.bench.training_run import TrainingRun
from harness.checkpoint import BEST, LAST
from harness.errors import UsageError
from harness.registry import load
from harness.run.flags import TrainOptions
from harness.run.training import make_job
from harness.run.training_log import Log

FLAGS = {"plugin": "ssm:layers=1", "params": "2k", "seq_len": 16, "batch_size": 8, "dtype": "float32", "device": "cpu",
         "lr": 0.01, "bytes": "2k", "accumulate": 2}
AVERAGE = """
import torch, torch.distributed as dist
from harness.bench.distributed import joined
with joined("cpu") as ranks:
    parameters = [torch.nn.Parameter(torch.zeros(size)) for size in (2, 3, 1)]
    parameters[0].grad = torch.full((2,), float(ranks.rank + 1))
    if ranks.rank == 1:
        parameters[1].grad = torch.ones(3)
    ranks.average(parameters)
    assert parameters[0].grad.tolist() == [1.5, 1.5]
    assert parameters[1].grad.tolist() == [0.5] * 3
    assert parameters[2].grad is None
    assert ranks.decided([ranks.rank + 5.0]) == [5.0]
    assert ranks.gathered(torch.tensor([ranks.rank])).tolist() == [[0], [1]]
    assert ranks.sum(torch.tensor(ranks.rank + 1.0)).item() == 3
"""
LEFT = """
import os, torch
from harness.bench.distributed import joined
def threads():
    return [open(f"/proc/self/task/{task}/comm").read().strip() for task in os.listdir("/proc/self/task")]
with joined("cpu") as ranks:
    import torch.distributed.nn.functional
    ranks.wait()
    assert [name for name in threads() if "gloo" in name]
assert not [name for name in threads() if "gloo" in name or "tcpstore" in name], threads()
"""


def processes(arguments, folder, world=2):
    """Run the same command in `world` processes with the variables that torchrun sets."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    started = [
        subprocess.Popen(
            [sys.executable, *arguments], cwd=folder, text=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**environment(), "RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(world),
                 "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)})
        for rank in range(world)
    ]
    try:
        return [(*process.communicate(timeout=PATIENCE_S), process.returncode) for process in started]
    finally:
        for process in started:
            process.kill()
            process.wait()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ddp")
    draw = random.Random(0)
    text = "\n\n".join(" ".join(draw.choices(["alpha", "beta", "of", "the"], k=200)) for _ in range(40))
    (folder / "words.txt").write_text(text)
    return folder


@pytest.fixture(scope="module")
def alone(folder):
    """One process with the whole batch, to 2 kB and then to 3 kB."""
    flags = {**FLAGS, "corpus": f"file:{folder / 'words.txt'}"}
    for name, budget in (("one", "2k"), ("longer", "3k")):
        (folder / name).mkdir()
        job = make_job(load(), TrainOptions(**{**flags, "bytes": budget}))
        run = TrainingRun(job, folder / name, Ranks(), [Log(folder / name)])
        assert run.run(lambda: False) == "finished"
    return flags


def same_weights(one, other):
    for name in (BEST, LAST):
        whole, shared = load_file(one / name), load_file(other / name)
        assert whole.keys() == shared.keys()
        for key in whole:
            if not key.startswith("random."):
                torch.testing.assert_close(whole[key], shared[key], rtol=1e-4, atol=1e-5, msg=key)


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_two_processes_give_the_weights_of_one_with_the_whole_batch(folder, alone, how):
    """Copies of the weights, or each process with its part of them: what is written is the same."""
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in alone.items() if name != "plugin"]
    both = processes(["-m", "harness", "train", alone["plugin"], *flags, *(["--fsdp"] if how == "fsdp" else []),
                      "--out", how], folder)
    assert [code for _, _, code in both] == [0, 0], both
    assert both[0][0].startswith(f"{how}: ")
    assert both[1][:2] == ("", "")                          # rank 0 alone speaks and writes
    same_weights(folder / "one", folder / how)
    ends = [Log(folder / name).events()[-1] for name in ("one", how)]
    assert ends[0]["step"] == ends[1]["step"]
    first = [next(e for e in Log(folder / name).events() if e["event"] == "train") for name in ("one", how)]
    assert first[0]["bits_per_byte"] == pytest.approx(first[1]["bits_per_byte"], rel=1e-5)


@pytest.mark.parametrize("how", ["ddp", "fsdp"])
def test_a_run_of_several_processes_goes_on(folder, alone, how):
    """From whole tensors on disk each process takes its part again, and its own random state."""
    both = processes(["-m", "harness", "train", alone["plugin"], "--resume", "--out", how, "--bytes", "3k"], folder)
    assert [code for _, _, code in both] == [0, 0], both
    assert Log(folder / how).events()[-1]["step"] == Log(folder / "longer").events()[-1]["step"]
    before, after = load_file(folder / "one" / LAST), load_file(folder / how / LAST)
    assert any(key.startswith("optimizer.") and value.dim() == 2 for key, value in after.items())
    assert all(before[key].shape == value.shape for key, value in after.items() if not key.startswith("random."))


def test_one_process_alone_has_nothing_to_share_with():
    with pytest.raises(UsageError, match="--fsdp shares weights out among processes; start it with torchrun"):
        share_weights(torch.nn.Linear(2, 2), Ranks(), "cpu")


def test_gradients_are_averaged_and_absent_ones_stay_absent(folder):
    results = processes(["-c", AVERAGE], folder)
    assert [code for _, _, code in results] == [0, 0], results


def test_shares_are_the_rows_of_the_batch():
    batch = torch.arange(12).view(6, 2)
    assert torch.equal(torch.cat([Ranks(rank, 3).share(batch) for rank in range(3)]), batch)
    assert torch.equal(Ranks().share(batch), batch)


def test_every_process_of_a_machine_has_its_own_gpu():
    assert device_of("cuda", {"LOCAL_RANK": "3"}) == "cuda:3"
    assert device_of("cuda", {}) == "cuda:0"
    assert device_of("cpu", {"LOCAL_RANK": "3"}) == "cpu"


@pytest.mark.skipif(sys.platform != "linux", reason="threads are named in /proc")
def test_no_thread_of_the_group_outlives_it(folder):
    """Such a thread aborts the interpreter at its exit, once in some dozens of runs."""
    results = processes(["-c", LEFT], folder)
    assert [code for _, _, code in results] == [0, 0], results
