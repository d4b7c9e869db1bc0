"""Learning without backpropagation: the local formulas against autograd, no backward pass, a loss below the unigram."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from harness.plugins.brain.branch import MAX_DECAY
from harness.plugins.brain.config import BrainConfig
from harness.plugins.brain.model import Brain
from harness.plugins.brain.spiking import Spiking, slope

from harness.bench.train import train
from harness.data.batches import TrainStream
from harness.data.corpora import pydoc
from harness.data.tokenizers import bytes_tokenizer

VOCAB, B, T = 17, 2, 9
SMALL = {"dim": 16, "layers": 2, "neurons": 12, "slots": 3, "slot_dim": 4, "heads": 2, "synapses": 4, "concepts": 5,
         "concept_dim": 6}


def make(**options) -> Brain:
    """Random weights throughout, in float64."""
    torch.manual_seed(0)
    model = Brain(BrainConfig(**{**SMALL, **options}), VOCAB).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return model


def text() -> tuple[torch.Tensor, torch.Tensor]:
    tokens = torch.randint(VOCAB, (B, T + 1), generator=torch.Generator().manual_seed(1))
    return tokens[:, :-1], tokens[:, 1:]


def true_gradients(model: Brain) -> dict[str, torch.Tensor]:
    inputs, targets = text()
    loss = F.cross_entropy(model(inputs)[0].flatten(0, 1), targets.flatten())
    names, parameters = zip(*model.named_parameters(), strict=True)
    return dict(zip(names, torch.autograd.grad(loss, parameters), strict=True))


def local_gradients(model: Brain) -> dict[str, torch.Tensor]:
    model.local_gradients(*text())
    return {name: p.grad for name, p in model.named_parameters() if p.grad is not None}


def learned_here(name: str, gradient: torch.Tensor, dim: int) -> torch.Tensor:
    """The part of a parameter that the local rule reaches: of the four views, intention alone."""
    return gradient[3 * dim:] if name.startswith("views") else gradient


@pytest.mark.parametrize("index", range(7))
def test_a_branch_learns_by_its_own_gradient(index):
    """Given the error at its output, a branch alone is differentiated without a mistake (the slope of spikes apart)."""
    model = make()
    branch = [*model.branches(), model.long_term][index]
    x, error = torch.randn(2, B, T, 16, dtype=torch.double).unbind()
    parameters = dict(branch.named_parameters())
    expected = torch.autograd.grad((branch(x)[0] * error).sum(), [parameters[name] for name in branch.LOCAL])
    with torch.no_grad():
        branch.learn(x, error)
    for name, gradient in zip(branch.LOCAL, expected, strict=True):
        got = learned_here(name, parameters[name].grad, 16)
        assert got.abs().max() > 0
        torch.testing.assert_close(got, learned_here(name, gradient, 16))
    assert all(p.grad is None for name, p in parameters.items() if name not in branch.LOCAL)


def test_a_neuron_follows_the_traces_of_its_synapses():
    """Three factors, forward in time: one trace per synapse, kept beside the membrane."""
    torch.manual_seed(0)
    layer = Spiking(6, 5, 0.5, 8.0).double()
    layer.initialise()
    x, error = torch.randn(2, B, T, 6, dtype=torch.double).unbind()
    with torch.no_grad():
        layer.learn(x, error)
        arrived, _ = layer.delays(layer.norm(x))
        gate, current, gain = layer.into(arrived).chunk(3, dim=-1)
        leak = MAX_DECAY * torch.sigmoid(-gate)
        v, trace = torch.zeros(B, 5, dtype=torch.double), torch.zeros(B, 5, 6, dtype=torch.double)
        change = torch.zeros(5, 6, dtype=torch.double)
        for t in range(T):
            a, admitted = leak[:, t], (1 - leak[:, t] ** 2).sqrt()
            v = a * v + admitted * current[:, t]
            trace = a[..., None] * trace + admitted[..., None] * arrived[:, t, None]
            signal = (error[:, t] @ layer.out.weight) * F.silu(gain[:, t])
            sensitivity = slope((v - layer.threshold) / 0.5) / 0.5
            change += ((signal * sensitivity)[..., None] * trace).sum(0)
    torch.testing.assert_close(layer.into.weight.grad[5:10], change)


def test_behind_the_last_branch_the_rule_is_the_gradient():
    model = make(tied=False)
    true, local = true_gradients(model), local_gradients(model)
    for name in ("head.weight", "norm.weight", "long_term.concepts"):
        torch.testing.assert_close(local[name], true[name])


def test_the_rule_goes_downhill_and_says_its_loss():
    model = make()
    true, local = true_gradients(model), local_gradients(model)
    assert sum((local[name] * true[name]).sum() for name in local) > 0
    inputs, targets = text()
    expected = F.cross_entropy(model(inputs)[0].flatten(0, 1), targets.flatten())
    torch.testing.assert_close(model.local_gradients(inputs, targets), expected.detach())


def test_what_learns_is_what_is_said_to():
    model = make()
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    model.local_update(*text(), 1e-2)
    changed = {name for name, p in model.named_parameters() if not torch.equal(p, before[name])}
    named = {id(p): name for name, p in model.named_parameters()}
    said = {named[id(branch.get_parameter(name))]
            for branch in (*model.branches(), model.long_term) for name in branch.LOCAL}
    assert changed == said | {"embedding.weight", "norm.weight"}
    rms = (model.embedding.weight - before["embedding.weight"]).square().mean().sqrt()
    torch.testing.assert_close(rms.item(), 1e-2)
    assert all(p.grad is None for p in model.parameters())


def unigram_entropy(documents) -> float:
    """Bits per byte of the best constant guess."""
    counts = torch.bincount(torch.frombuffer(bytearray(b"".join(documents)), dtype=torch.uint8).long())
    share = counts[counts > 0].double() / counts.sum()
    return -(share * share.log2()).sum().item()


def test_no_backward_pass_runs_and_the_loss_falls_below_the_unigram_entropy(monkeypatch):
    def forbidden(*_, **__):
        raise AssertionError("a backward pass ran")

    for owner, name in ((torch.Tensor, "backward"), (torch.autograd, "backward"), (torch.autograd, "grad"),
                        (torch.autograd.graph, "_engine_run_backward")):
        monkeypatch.setattr(owner, name, forbidden)
    documents, tokenizer = pydoc().train, bytes_tokenizer()
    torch.manual_seed(0)
    model = Brain(BrainConfig(dim=24, layers=1, synapses=8, concepts=16), tokenizer.vocab_size)
    grad_enabled: list[bool] = []
    model.consciousness.register_forward_hook(lambda *_: grad_enabled.append(torch.is_grad_enabled()))
    result = train(model, TrainStream(documents, tokenizer, 32, 8), lr=4e-3, budget_bytes=60_000, rule="local")
    assert grad_enabled and not any(grad_enabled)
    assert not result.diverged and result.curve[0][1] > 0.9 * math.log2(257)
    assert result.tail_bits_per_byte < unigram_entropy(documents) - 0.2
