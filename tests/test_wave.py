"""The wave model: carried state, scores as their formula, its bounds, the hybrid's parts, and its published defects."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from harness.plugins import wave
from harness.plugins.wave.as_published import PublishedWaveHeads
from harness.plugins.wave.config import WaveConfig
from harness.plugins.wave.heads import LinearWaveHeads, SoftmaxWaveHeads, StandardHeads
from harness.plugins.wave.model import Wave
from laws import in_pieces

from harness.audit.auditor import audit
from harness.evidence.claims.file import parse_claims
from harness.model import count_parameters, state_bytes
from harness.specs import resolve

VOCAB, B, T = 17, 2, 29
KINDS = ({}, {"ratio": 0.0}, {"ratio": 1.0}, {"chunk": 8}, {"linear": True}, {"linear": True, "ratio": 0.5, "chunk": 8})


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def make(**options) -> Wave:
    torch.manual_seed(0)
    return Wave(WaveConfig(**{"dim": 16, "layers": 2, "heads": 2, **options}), VOCAB).eval()


def tokens(length: int = T) -> torch.Tensor:
    return torch.randint(VOCAB, (B, length), generator=torch.Generator().manual_seed(1))


def stir(layer: torch.nn.Module) -> torch.nn.Module:
    """Every parameter away from its neutral start."""
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.add_(0.3 * torch.randn_like(parameter))
    return layer


@pytest.mark.parametrize("options", KINDS, ids=str)
@pytest.mark.parametrize("cuts", [[1], [28], [2, 3], [8, 16, 17], list(range(1, T))], ids=str)
def test_cutting_a_text_changes_nothing(options, cuts):
    model = make(**options)
    whole, _ = model(tokens())
    pieces, _ = in_pieces(model, tokens(), cuts)
    torch.testing.assert_close(pieces, whole, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("options", KINDS, ids=str)
def test_the_audit_passes_and_finds_no_dead_parameter(options):
    report = audit(make(**options), [33], jitter=0.02)
    assert report.passed, report.summary()
    assert not report.dead


@torch.no_grad()
@pytest.mark.parametrize("kind", [SoftmaxWaveHeads, LinearWaveHeads])
def test_wave_heads_are_the_formula_written_out(kind):
    """Every a_q a_k cos(f (p_q - p_k) + w (t_q - t_k) + shift) on its own, with unit amplitudes."""
    heads = stir(kind(WaveConfig(dim=8, heads=2), 2).double())
    x, v = torch.randn(1, 7, 8).double(), torch.randn(1, 2, 7, 4).double()
    got, _ = heads(x, v, None, 5)
    a = torch.sigmoid(heads.amplitudes(x[0])).view(7, 2, 2, 4)                       # (T, query or key, H, d)
    a = a / a.square().sum(-1, keepdim=True).sqrt()
    p = math.pi * torch.tanh(heads.phases(x[0])).view(7, 2, 2, 4)
    for t in range(7):
        for h in range(2):
            scores = []
            for s in range(t + 1):
                turn = heads.frequency[h] * (p[t, 0, h] - p[s, 1, h]) + (t - s) * heads.omega + heads.shift[h]
                scores.append((a[t, 0, h] * a[s, 1, h] * torch.cos(turn)).sum())
            weights = torch.stack(scores)
            if kind is SoftmaxWaveHeads:
                expected = (weights * heads.sharpness[h].exp().squeeze()).softmax(0) @ v[0, h, :t + 1]
            else:
                expected = weights @ v[0, h, :t + 1]
                expected = expected / (expected.square().mean() + 1e-6).sqrt()
            torch.testing.assert_close(got[0, h, t].double(), expected, rtol=1e-4, atol=1e-5)


def test_waves_are_bounded_whatever_comes_in():
    heads = SoftmaxWaveHeads(WaveConfig(dim=8, heads=2), 2)
    for scale in (0.0, 1.0, 10.0):
        q, k = heads.waves(scale * torch.randn(2, 9, 8), 3)
        for planes in (q, k):
            torch.testing.assert_close(planes.norm(dim=-1), torch.ones(2, 2, 9))
    torch.nn.init.constant_(heads.amplitudes.bias, -1e4)                             # every amplitude vanishes
    assert all(planes.isfinite().all() for planes in heads.waves(torch.randn(2, 9, 8), 3))


def test_the_linear_form_is_finite_where_its_weights_cancel():
    """Two keys in opposite phase: the sum of the weights, by which kernel attention divides, passes through zero."""
    heads = LinearWaveHeads(WaveConfig(dim=4, heads=1), 1)
    x = torch.randn(1, 2000, 4)
    with torch.no_grad():
        heads.omega.zero_()
        q, k = heads.waves(x, 0)
        totals = (q[0, 0] * k[0, 0].cumsum(0)).sum(-1)
    assert (totals < 0).any() and (totals > 0).any() and totals.abs().min() < 0.05
    leaf = x.clone().requires_grad_()
    y, _ = heads(leaf, torch.randn(1, 1, 2000, 4), None, 0)
    assert y.abs().max() <= 2 + 1e-5                                                 # sqrt(d), reached by one channel
    assert torch.autograd.grad(y.sum(), leaf)[0].isfinite().all()


def test_the_linear_state_is_as_large_after_any_length():
    sizes = {state_bytes(make(linear=True)(tokens(length))[1]) for length in (1, 2, 90)}
    assert sizes == {2 * B * 2 * (2 * 8) * 8 * 4 + 8 * B}
    assert state_bytes(make()(tokens(90))[1]) > 2 * state_bytes(make()(tokens(40))[1])


@pytest.mark.parametrize(("ratio", "waves"), [(0.0, 0), (0.25, 1), (0.5, 2), (0.75, 3), (1.0, 4)])
def test_the_ratio_is_the_share_of_wave_heads(ratio, waves):
    attention = make(dim=32, heads=4, ratio=ratio).blocks[0].attention
    found = {type(kind): kind.heads for kind in attention.kinds}
    assert found.get(SoftmaxWaveHeads, 0) == waves and found.get(StandardHeads, 0) == 4 - waves
    assert count_parameters(make(dim=32, heads=4, ratio=0.0)).non_embedding == 2 * (
        4 * 32 * 32 + 2 * 32 + 3 * 32 * 88) + 32                                    # a plain transformer


def test_chunks_change_nothing_but_the_order_of_the_work():
    for options in ({}, {"linear": True}):
        whole, chunked = (make(chunk=chunk, **options)(tokens())[0] for chunk in (None, 5))
        torch.testing.assert_close(chunked, whole, rtol=1e-3, atol=1e-4)


def test_published_amplitude_and_phase_tell_one_thing_and_couple_all_tokens():
    heads, x = PublishedWaveHeads(WaveConfig(dim=8, heads=2), 2), torch.randn(2, 2, 9, 4)
    real, imag = heads.state(x).chunk(2, dim=-1)
    assert torch.complex(real, imag).abs().square().sum().item() == pytest.approx(1)        # one norm for everything
    torch.testing.assert_close(torch.complex(real, imag).angle(), math.pi * x.tanh(), rtol=1e-4, atol=1e-4)
    other = x.clone()
    other[1, :, 5] += 3                                                              # another row, a later token
    assert (heads.state(other)[0, :, :5] - heads.state(x)[0, :, :5]).abs().min() > 0


def test_published_chunks_pass_nothing_on():
    model = make(as_published=True, ratio=1.0, chunk=8, layers=1)
    before = torch.autograd.functional.jacobian(
        lambda x: model.blocks[0].attention(x, None, 0)[0][0, 17], torch.randn(1, 20, 16))[:, 0].abs().amax((0, 2))
    assert before[16:18].min() > 1e-3                       # its own chunk, so far as the mask lets it see
    assert before[:16].max() < 1e-3 * before[16:18].min()   # but for the norm, which reaches everything
    assert before[:16].min() > 0


def test_the_audit_says_what_is_wrong_as_published():
    report = audit(make(as_published=True, ratio=1.0), [33], jitter=0.5)
    failed = {finding.check for finding in report.failures}
    assert "split law" in failed and failed & {"batch independence", "suffix perturbation"}, report.summary()
    assert {name.rpartition(".")[2] for name in report.dead} == {"phase_shift", "frequency"}


def test_stated_flops_grow_as_the_parts_do():
    linear, softmax = make(linear=True), make(ratio=1.0)
    assert linear.flops(B, 200, "prefill") == 200 * linear.flops(B, 1, "prefill")
    assert linear.flops(B, 10, "decode") == linear.flops(B, 1000, "decode")
    extra = softmax.flops(1, 101, "prefill") - softmax.flops(1, 100, "prefill")
    assert extra == softmax.flops(1, 100, "decode")
    assert softmax.flops(1, 100, "decode") - softmax.flops(1, 99, "decode") == 2 * 2 * (2 * 16 + 2 * 16)
    assert softmax.flops(1, 9, "train") == 3 * softmax.flops(1, 9, "prefill")


@pytest.mark.parametrize(("options", "words"), [
    ({"dim": 10}, "multiple"), ({"layers": 0}, "layers"), ({"chunk": 0}, "chunk"), ({"ratio": 1.5}, "ratio"),
    ({"as_published": True, "linear": True}, "linear"),
])
def test_a_config_that_cannot_be_built_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        WaveConfig(**options)


def test_the_hook_names_what_exists():
    spec, = wave.harness_models()
    assert resolve(spec.target) is Wave and resolve(spec.config) is WaveConfig and callable(resolve(spec.kernels))
    assert "torch" not in Path(wave.__file__).with_name("config.py").read_text().replace("(no torch)", "")
    file, = wave.harness_claims()
    assert len(parse_claims(file)) == 11
