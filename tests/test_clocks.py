"""Timings and peaks from the worker: what a model does to look cheaper costs it the row, or stands in one."""

import sys
import threading

import pytest
from parents import Parent

from harness.run.cells import Cell
from harness.run.worker import Setup, run_cell

CHEATS = '''
import threading
import time
from dataclasses import dataclass

from harness import ModelSpec, hookimpl


@dataclass(frozen=True)
class Config:
    dim: int = 8
    fault: str = "none"


def __getattr__(name):
    if name != "Model":
        raise AttributeError(name)
    import torch
    from torch import nn

    from harness import LanguageModel

    class Model(LanguageModel):
        """Logits of a token and, through a sum that decays, of those before it."""

        def __init__(self, config, vocab_size):
            super().__init__(config, vocab_size)
            self.embed, self.head = nn.Embedding(vocab_size, config.dim), nn.Linear(config.dim, vocab_size)
            self.mix, self.known, self.started = nn.Linear(config.dim, config.dim), {}, False

        def forward(self, tokens, state=None):
            fault = self.config.fault
            if fault == "slow" and not self.started:
                self.started = True
                time.sleep(0.8)
            if fault == "burn" and not self.started:
                self.started = True
                threading.Thread(target=burn, name="burner").start()
            if fault == "remember" and tokens.shape in self.known:
                return self.known[tokens.shape]
            if fault == "arena":
                arena[: tokens.shape[1] << 22].add_(1)
            x = self.embed(tokens)
            h, steps = torch.zeros_like(x[:, 0]) if state is None else state, []
            for e in x.unbind(1):
                h = 0.5 * h + e
                steps.append(h)
            x = torch.stack(steps, dim=1)
            if not (fault == "no_grad" and not torch.is_grad_enabled()) and not (
                    fault == "bfloat16" and torch.is_autocast_enabled("cpu")):
                x = x + self.mix(x).tanh()
            if fault == "leak":
                x = x + x.roll(-1, dims=1)
            found = self.head(x), h
            if not torch.is_grad_enabled():
                self.known[tokens.shape] = found
            return found

    arena = torch.ones(16 << 22, dtype=torch.uint8)

    def burn():
        end = time.monotonic() + 6
        while time.monotonic() < end:
            torch.ones(200_000).sum()

    globals()["Model"] = Model
    return Model


@hookimpl
def harness_models():
    return [ModelSpec(name="cheat", target=f"{__name__}:Model", config=f"{__name__}:Config", family="classical",
                      summary="what it is told to be", source="the tests")]
'''


@pytest.fixture
def measured(plugin):
    """Rows of the cell of a suite for a cheat, measured in this process."""
    file = plugin("cheat.py", CHEATS)

    def run(suite, fault, role="", peer_s=0.01):
        protocol = (("role", role), ("rounds", 6)) if role else (("rounds", 6),)
        cell = Cell(suite, "cheat", (("fault", fault),), tokenizer="bytes", corpus="markov", seq_len=16, batch_size=2,
                    dtype="bfloat16", protocol=protocol, group="g" if role != "memory" and suite != "memory" else "")
        return run_cell(Parent(seconds=peer_s), Setup((str(file),)), cell, {"limits": {}, "needs": {}})[0]

    yield run
    for thread in threading.enumerate():
        if thread.name == "burner":
            thread.join()


@pytest.mark.parametrize(("suite", "role"), [("throughput", ""), ("scaling", "time"), ("scaling", "memory"),
                                             ("memory", "")])
def test_an_honest_model_is_audited_and_a_leak_is_timed_and_told(measured, suite, role):
    """Peers whose turns are long enough that the ticks of this process are not taken for threads that spin."""
    for row in measured(suite, "none", role, peer_s=0.1):
        assert (row.status, row.audited, row.reason) == ("ok", "yes", "")
    for row in measured(suite, "leak", role, peer_s=0.1):
        assert (row.status, row.audited) == ("ok", "no")
        assert row.reason.startswith("not audited: suffix perturbation at length 16")


@pytest.mark.parametrize(("suite", "role", "fault", "metrics", "words"), [
    ("throughput", "", "no_grad", 1, "round"), ("throughput", "", "remember", 1, "round"),
    ("throughput", "", "bfloat16", 0, "round"), ("scaling", "time", "bfloat16", 0, "round")])
def test_less_work_where_the_clock_runs_costs_the_row(measured, suite, role, fault, metrics, words):
    rows = measured(suite, fault, role)
    assert [row.status for row in rows] == ["ok"] * metrics + ["audit_failed"]
    assert words in rows[-1].reason and "tokens" in rows[-1].reason


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")
@pytest.mark.parametrize(("suite", "role"), [("memory", ""), ("scaling", "memory")])
def test_an_arena_that_a_module_keeps_belongs_to_the_peak(measured, suite, role):
    """4 MiB of it a token, 16 against 8."""
    rows = {(row.metric, row.phase): row for row in measured(suite, "arena", role)}
    assert rows["peak_bytes", "train"].value > 28 << 20
    assert "MB of a peak lie in memory that was held before" in rows["peak_bytes", "train"].reason


def test_a_slow_first_call_is_a_row(measured):
    rows = {row.metric: row for row in measured("scaling", "slow", "time")}
    assert 0.8 <= rows["slow_start_s"].value < 3
    assert rows["step_time_s"].value < 0.5


def test_a_thread_that_burns_beside_the_peers_turn_costs_the_row(measured):
    (row,) = measured("scaling", "burn", "time", peer_s=0.1)
    assert row.status == "audit_failed"                     # by what it does in the peer's turn, or still in its own
    assert any(words in row.reason for words in (
        "s between its turns: threads or processes that it left running slow down the others", "others worked for it"))
