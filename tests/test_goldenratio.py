"""The golden-ratio model: carried state, scores as their formula, patterns that are fixed, and its controls."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from harness.plugins import goldenratio
from harness.plugins.blocks import rotary_table, rotate
from harness.plugins.goldenratio.config import GoldenRatioConfig
from harness.plugins.goldenratio.model import SPREAD, Attention, GoldenRatio
from harness.plugins.goldenratio.patterns import PHI, PI, E, frequencies, pattern, random_frequencies
from laws import in_pieces
from torch.utils.flop_counter import FlopCounterMode

from harness.audit.auditor import audit
from harness.bench.train import TrainStep
from harness.evidence.claims.file import parse_claims
from harness.model import count_parameters, state_bytes
from harness.specs import resolve

VOCAB, B, T = 17, 2, 29
KINDS = ("golden", "random", "learned", "plain")


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def make(**options) -> GoldenRatio:
    torch.manual_seed(0)
    return GoldenRatio(GoldenRatioConfig(**{"dim": 16, "layers": 2, "heads": 2, "chunk": 8, **options}), VOCAB).eval()


def tokens(length: int = T) -> torch.Tensor:
    return torch.randint(VOCAB, (B, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("patterns", KINDS)
@pytest.mark.parametrize("cuts", [[1], [28], [2, 3], [8, 16, 17], list(range(1, T))], ids=str)
def test_cutting_a_text_changes_nothing(patterns, cuts):
    model = make(patterns=patterns)
    whole, _ = model(tokens())
    pieces, _ = in_pieces(model, tokens(), cuts)
    torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("options", [{"patterns": kind} for kind in KINDS] + [{"as_published": True}], ids=str)
def test_the_audit_passes_and_finds_no_dead_parameter(options):
    report = audit(make(**options), [33], jitter=0.02)
    assert report.passed, report.summary()
    assert not report.dead


@torch.no_grad()
@pytest.mark.parametrize("patterns", ["golden", "random", "learned"])
def test_a_layer_is_the_formula_written_out(patterns):
    """Every score |sum_d exp(i(phase_q - phase_k))| e^temperature / sqrt(d) on its own, phases with their positions."""
    config = GoldenRatioConfig(dim=12, heads=2, patterns=patterns, chunk=3)
    layer, x = Attention(config).double(), torch.randn(1, 7, 12).double()
    layer.temperature.copy_(torch.tensor([0.3, -0.5])[:, None, None])
    got, _ = layer(x, None, 5)
    q, k, v = (linear(x[0]).view(7, 2, 6) for linear in (layer.queries, layer.keys, layer.values))
    expected = torch.zeros(7, 2, 6).double()
    for t in range(7):
        for h in range(2):
            scores = []
            for s in range(t + 1):
                difference = SPREAD * (q[t, h] - k[s, h]) + (t - s) * layer.frequency
                scores.append(torch.exp(1j * difference).sum().abs())
            sharpness = layer.temperature[h].exp().squeeze() / math.sqrt(6)
            expected[t, h] = (sharpness * torch.stack(scores)).softmax(0) @ v[:t + 1, h]
    torch.testing.assert_close(got[0], layer.out(expected.flatten(1)), rtol=1e-5, atol=1e-6)


@torch.no_grad()
def test_plain_is_attention_with_rotary_embedding():
    layer, x = Attention(GoldenRatioConfig(dim=12, heads=2, patterns="plain")).double(), torch.randn(1, 7, 12).double()
    got, _ = layer(x, None, 0)
    q, k, v = (layer.split(linear(x)) for linear in (layer.queries, layer.keys, layer.values))
    q, k = (rotate(part, rotary_table(0, 7, 6)) for part in (q, k))
    scores = (q @ k.mT / math.sqrt(6)).masked_fill(torch.ones(7, 7).bool().triu(1), -torch.inf)
    expected = layer.out((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))
    torch.testing.assert_close(got, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("constant", [PHI, PI, E])
def test_a_pattern_has_the_scale_of_fan_in_initialisation(constant):
    weight = pattern(96, 96, constant)
    assert weight.square().mean().item() == pytest.approx(1 / 96, rel=0.05)
    turns = 5 * (PHI * 7 + constant)                            # of row 5, column 7
    assert weight[4, 6].item() == pytest.approx(math.sqrt(2 / 96) * math.cos(2 * math.pi * turns), rel=1e-4)
    assert not torch.equal(pattern(96, 96, constant, 96), weight)
    torch.testing.assert_close(pattern(96, 192, constant)[:, 96:] * math.sqrt(2), pattern(96, 96, constant, 96))


@pytest.mark.parametrize("constant", [PHI, PI, E])
@pytest.mark.parametrize("size", [96, 128])
def test_rows_of_a_pattern_are_more_nearly_orthogonal_than_random_ones(constant, size):
    def overlap(weight: torch.Tensor) -> float:
        unit = torch.nn.functional.normalize(weight, dim=-1)
        return float((unit @ unit.T).fill_diagonal_(0).square().mean().sqrt())

    random = torch.randn(size, size, generator=torch.Generator().manual_seed(0))
    assert overlap(pattern(size, size, constant)) < 0.75 * overlap(random)


def test_frequencies_fall_by_phi_and_the_control_has_their_range():
    w = frequencies(10)
    torch.testing.assert_close(w[:-1] / w[1:], torch.full((9,), PHI))
    drawn = torch.cat([random_frequencies(24) for _ in range(20)])
    assert drawn.max() <= math.pi and drawn.min() >= math.pi * PHI**-23 and len(drawn.unique()) == 480


@pytest.mark.parametrize(("options", "names"), [
    ({}, {"queries", "keys"}), ({"patterns": "random"}, {"queries", "keys"}),
    ({"patterns": "learned"}, set()), ({"patterns": "plain"}, set()),
])
def test_training_moves_all_but_the_patterns(options, names):
    model = make(**options)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    TrainStep(model.train(), lr=0.01)(tokens()[:, :-1], tokens()[:, 1:])
    unmoved = {name.split(".")[-2] for name, p in model.named_parameters() if torch.equal(p, before[name])}
    assert unmoved == names


def test_as_published_nothing_but_the_embedding_learns():
    model = make(as_published=True)
    assert [name for name, p in model.named_parameters() if p.requires_grad] == ["embedding.weight"]
    assert model.diagnostics() == {"learned_share": 0.0}
    torch.testing.assert_close(model.blocks[1].attention.values.weight.detach(), pattern(16, 16, E, 16))
    assert 0.5 < make().diagnostics()["learned_share"] < make(patterns="learned").diagnostics()["learned_share"] == 1


def test_golden_patterns_are_the_same_whatever_the_seed_and_random_ones_are_not():
    def weight(seed: int, patterns: str) -> torch.Tensor:
        torch.manual_seed(seed)
        return GoldenRatio(GoldenRatioConfig(dim=16, heads=2, patterns=patterns), VOCAB).blocks[0].attention.keys.weight

    assert torch.equal(weight(0, "golden"), weight(1, "golden"))
    assert not torch.equal(weight(0, "random"), weight(1, "random"))


@pytest.mark.parametrize("patterns", KINDS)
def test_weights_that_were_stored_make_the_same_model_whatever_the_seed(patterns):
    model = make(patterns=patterns)
    torch.manual_seed(1)
    other = GoldenRatio(model.config, VOCAB).eval()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other(tokens())[0], model(tokens())[0])


def test_all_patterns_have_the_same_parameters():
    assert len({count_parameters(make(patterns=kind)).non_embedding for kind in KINDS}) == 1


def test_the_state_holds_planes_and_values():
    model = make()
    assert state_bytes(model(tokens(20))[1]) == 2 * B * 20 * (2 * 16 + 16) * 4 + 8 * B


def test_stated_flops_are_those_of_the_counter():
    model = make(chunk=T)                                       # one chunk: the counter sees all pairs, masked ones too
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(tokens())
    masked = B * T * (T - 1) // 2 * 10 * 2 * 16
    assert model.flops(B, T, "prefill") == counter.get_total_flops() - masked
    assert model.flops(B, T, "train") == 3 * model.flops(B, T, "prefill")
    assert model.flops(B, T, "decode") < model.flops(B, T + 1, "prefill") - model.flops(B, T, "prefill") + 1


@pytest.mark.parametrize(("options", "words"), [
    ({"dim": 10}, "multiple"), ({"layers": 0}, "layers"), ({"chunk": 0}, "chunk"),
    ({"as_published": True, "patterns": "learned"}, "learned"),
])
def test_a_config_that_cannot_be_built_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        GoldenRatioConfig(**options)


def test_the_hook_names_what_exists():
    spec, = goldenratio.harness_models()
    assert resolve(spec.target) is GoldenRatio and resolve(spec.config) is GoldenRatioConfig
    assert callable(resolve(spec.kernels))
    assert "torch" not in Path(goldenratio.__file__).with_name("config.py").read_text().replace("(no torch)", "")
    file, = goldenratio.harness_claims()
    assert len(parse_claims(file)) == 6
