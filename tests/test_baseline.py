"""The transformer: cached decoding against the full forward, its cache as a value, attention against the formula."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from harness.plugins import baseline
from harness.plugins.baseline.config import TransformerConfig
from harness.plugins.baseline.model import Attention, Transformer
from laws import assert_a_token_changes_only_what_follows_it, in_pieces
from torch.utils.flop_counter import FlopCounterMode

from harness.model import count_parameters, state_bytes
from harness.specs import resolve

VOCAB, B, T = 17, 2, 41


def make(**options) -> Transformer:
    torch.manual_seed(0)
    model = Transformer(TransformerConfig(**{"dim": 24, "layers": 2, "heads": 2, **options}), VOCAB).eval()
    for parameter in model.parameters():
        if parameter.ndim == 3:                                     # a convolution that is not the identity
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def tokens(length: int = T) -> torch.Tensor:
    return torch.randint(VOCAB, (B, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("options", [{}, {"conv": 4, "qk_norm": True}, {"tied": False, "heads": 1}], ids=str)
@pytest.mark.parametrize("cuts", [[1], [40], [5, 6, 7], [16, 33], list(range(1, T))], ids=str)
@pytest.mark.parametrize("grad", [True, False])
def test_cutting_a_text_changes_nothing(options, cuts, grad):
    model = make(**options)
    with torch.set_grad_enabled(grad):
        whole, _ = model(tokens())
        pieces, _ = in_pieces(model, tokens(), cuts)
    torch.testing.assert_close(pieces, whole, rtol=1e-5, atol=1e-5)


def test_a_token_changes_only_what_follows_it():
    assert_a_token_changes_only_what_follows_it(make(conv=4), tokens())


@pytest.mark.parametrize("qk_norm", [False, True])
@torch.no_grad()
def test_attention_is_the_formula_at_absolute_positions(qk_norm):
    attention = Attention(TransformerConfig(dim=8, heads=2, qk_norm=qk_norm)).double()
    for norm in attention.norms:
        torch.nn.init.normal_(norm.weight)
    x = torch.randn(1, 7, 8, dtype=torch.double)
    angle = torch.arange(3, 10, dtype=torch.double)[:, None] * torch.tensor([1.0, 10_000**-0.5], dtype=torch.double)
    got, _ = attention(x, (angle.cos(), angle.sin()), None, 0)
    q, k, v = (attention.qkv.weight @ x[0].T).T.reshape(7, 3, 2, 4).unbind(1)    # (T, heads, Dh)
    if qk_norm:
        q, k = (u / (u.square().mean(-1, keepdim=True) + 1e-6).sqrt() * norm.weight
                for u, norm in zip((q, k), attention.norms, strict=True))
    turn = torch.polar(torch.ones_like(angle), angle)

    def spin(u: torch.Tensor) -> torch.Tensor:
        return torch.complex(u[:, :2], u[:, 2:]) * turn

    expected = []
    for head in range(2):
        scores = (spin(q[:, head])[:, None] * spin(k[:, head])[None].conj()).real.sum(-1) / 4**0.5
        weights = scores.masked_fill(torch.ones(7, 7).triu(1).bool(), -torch.inf).softmax(-1)
        expected.append(weights @ v[:, head])
    torch.testing.assert_close(got[0], torch.cat(expected, dim=-1) @ attention.out.weight.T)


@torch.no_grad()
def test_a_state_can_be_continued_twice():
    model, text = make(), tokens()
    _, start = model(text[:, :20])
    _, start = model(text[:, 20:21], start)                                   # now with room to write in
    paths = [text[:, 21:25], (text[:, 21:25] + 1) % VOCAB, text[:, 21:25]]
    seen = [model(path, start) for path in paths]
    tail = text[:, 25:26]
    for path, (logits, state) in zip(paths, seen, strict=True):
        whole, _ = model(torch.cat([text[:, :21], path, tail], dim=1))
        torch.testing.assert_close(logits, whole[:, 21:25], rtol=1e-5, atol=1e-5)
        torch.testing.assert_close(model(tail, state)[0], whole[:, 25:], rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_part_of_a_batch_can_be_continued_beside_the_whole():
    model, text = make(), tokens()
    _, state = model(text[:, :20])
    _, state = model(text[:, 20:21], state)
    row = {name: [tuple(t[1:] for t in layer) for layer in part] if name == "buffers" else part
           for name, part in state.items()}
    row |= {name: row[name][1:] for name in ("length", "written")}
    alone, _ = model((text[1:, 21:22] + 1) % VOCAB, row)
    both, _ = model(text[:, 21:22], state)
    torch.testing.assert_close(both, model(text[:, :22])[0][:, 21:], rtol=1e-5, atol=1e-5)
    changed = torch.cat([text[1:, :21], (text[1:, 21:22] + 1) % VOCAB], dim=1)
    torch.testing.assert_close(alone, model(changed)[0][:, 21:], rtol=1e-5, atol=1e-5)


def test_a_state_of_inference_mode_can_be_continued_outside_it():
    model, text = make(), tokens()
    with torch.inference_mode():
        _, state = model(text[:, :20])
        _, state = model(text[:, 20:21], state)
    with torch.no_grad():
        after, _ = model(text[:, 21:22], state)
        torch.testing.assert_close(after, model(text[:, :22])[0][:, 21:], rtol=1e-5, atol=1e-5)


def test_continuing_with_gradients_leaves_the_state_as_it_was():
    model, text = make(), tokens()
    with torch.no_grad():
        _, state = model(text[:, :20])
        _, state = model(text[:, 20:21], state)
    model(text[:, 21:22], state)[0].sum().backward()
    assert not any(buffer.requires_grad for layer in state["buffers"] for buffer in layer)


@torch.no_grad()
def test_decoding_writes_in_place_and_the_room_is_bounded():
    model, text = make(), tokens()
    _, state = model(text[:, :20])
    exact = state_bytes(state)
    assert exact == 2 * 2 * B * 24 * 20 * 4 + 2 * B * 8                       # keys and values of 2 layers, 2 counters
    _, state = model(text[:, 20:21], state)
    buffer = state["buffers"][0][0]
    for t in range(21, T):
        _, state = model(text[:, t:t + 1], state)
        assert state["buffers"][0][0] is buffer                               # no copy of the context
    assert state_bytes(state) <= exact / 20 * (21 + 32) + 2 * B * 8


def test_gradients_flow_through_a_carried_state():
    model, text = make(conv=4), tokens(12)
    pieces, _ = in_pieces(model, text, [5, 9])
    pieces[:, -1].square().sum().backward()
    parts = [p.grad.clone() for p in model.parameters()]
    model.zero_grad()
    model(text)[0][:, -1].square().sum().backward()
    for part, p in zip(parts, model.parameters(), strict=True):
        torch.testing.assert_close(part, p.grad, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("tied", [True, False])
def test_every_parameter_learns_and_the_count_is_the_formula(tied):
    model = make(tied=tied, conv=4, hidden=30, qk_norm=True)
    model(tokens())[0].square().sum().backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())
    count = count_parameters(model)
    assert count.non_embedding == 2 * (4 * 24**2 + 3 * 24 * 30 + 4 * 24 + 2 * 24 + 2 * 12) + 24
    assert count.embedding == VOCAB * 24 * (1 if tied else 2)


def test_logits_start_near_uniform():
    model = Transformer(TransformerConfig(), 257)
    logits, _ = model(torch.randint(257, (2, 64)))
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.randint(257, (128,)))
    assert loss.item() == pytest.approx(5.55, abs=0.8)


def test_dropout_acts_in_training_only():
    model = make(dropout=0.5)
    assert torch.equal(model(tokens())[0], model(tokens())[0])
    model.train()
    assert not torch.equal(model(tokens())[0], model(tokens())[0])


@pytest.mark.parametrize(("conv", "norms"), [(0, False), (4, True)])
def test_stated_flops_are_those_of_the_counter(conv, norms):
    """torch counts every pair in attention, and nothing of norms and of a depthwise convolution that is not a
    convolution op."""
    model = make(conv=conv, qk_norm=norms)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(tokens())
    counted = {str(op): flops for op, flops in counter.get_flop_counts()["Global"].items()}
    gemms = sum(flops for op, flops in counted.items() if "mm" in op)
    pairs, scores = B * T * (T + 1) // 2, 4 * 2 * 24
    normed = 2 * B * T * 2 * 24 * 4 * norms
    assert model.flops(B, T, "prefill") == gemms + counted.get("aten.convolution", 0) + scores * pairs + normed
    assert model.flops(B, T, "train") == 3 * model.flops(B, T, "prefill")
    whole, prompt = model.flops(B, T, "prefill"), model.flops(B, T - 1, "prefill")
    assert model.flops(B, T - 1, "decode") == whole - prompt


@pytest.mark.parametrize(("options", "words"), [
    ({"dim": 90, "heads": 4}, "multiple of 2 \\* heads"), ({"dim": 7}, "even"), ({"conv": -1}, "conv"),
    ({"layers": 0}, "layers"),
])
def test_a_config_that_cannot_be_built_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        TransformerConfig(**options)


@pytest.mark.parametrize(("dim", "heads"), [
    (2, 1), (6, 3), (8, 4), (88, 4), (96, 4), (256, 4), (320, 5), (328, 4), (480, 6),
])
def test_default_heads_have_64_channels_but_are_at_least_four(dim, heads):
    assert TransformerConfig(dim=dim).attention_heads == heads


def test_the_hook_names_what_exists():
    spec, = baseline.harness_models()
    assert resolve(spec.target) is Transformer and resolve(spec.config) is TransformerConfig
    assert "torch" not in Path(baseline.__file__).with_name("config.py").read_text()
