"""The phase-field model right by default: every part against its formula in complex numbers, the state complete."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from harness.plugins import phasefield
from harness.plugins.phasefield import phase
from harness.plugins.phasefield.backbone import Backbone, OscillatorLayer
from harness.plugins.phasefield.banks import ContextBank, SemanticBank
from harness.plugins.phasefield.config import PhaseFieldConfig
from harness.plugins.phasefield.coupler import Coupler, routing_entropy
from harness.plugins.phasefield.memory import EpisodicMemory, PhaseMemory
from harness.plugins.phasefield.model import PhaseField
from laws import assert_a_token_changes_only_what_follows_it, in_pieces
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from harness.build import build
from harness.errors import UsageError
from harness.evidence.claims.file import parse_claims
from harness.model import count_parameters, state_bytes
from harness.sizing import match_parameters
from harness.specs import resolve

VOCAB, B, T, D = 17, 2, 41, 6
SMALL = {"dim": D, "layers": 2, "window": 8, "context": 4, "slots": 10, "concepts": 9}
WHOLE = {"banks": ("semantic", "context"), "memory": "associative", "episodic": True}
VARIANTS = [
    {}, WHOLE, {"banks": ("context",)}, {**WHOLE, "coupler": "none"}, {"conv": 0}, {"output_gate": False},
    {"mlp": False}, {**WHOLE, "tied": False, "conv": 3}, {"episodic": True}, {"memory": "associative"},
    {"state_dim": 5, "hidden": 7, "skip": True}, {**WHOLE, "nearest": 4, "coherence": 0.1, "energy": 0.1},
]


def config(**options) -> PhaseFieldConfig:
    return PhaseFieldConfig(**{**SMALL, **options})


def make(**options) -> PhaseField:
    torch.manual_seed(0)
    return PhaseField(config(**options), VOCAB).double().eval()


def part(kind, *arguments, **options):
    torch.manual_seed(0)
    return kind(config(**options), *arguments).double()


def tokens(length: int = T, seed: int = 1) -> torch.Tensor:
    return torch.randint(VOCAB, (B, length), generator=torch.Generator().manual_seed(seed))


def planes(length: int = T, dim: int = D, seed: int = 2) -> torch.Tensor:
    return torch.randn(B, length, 2 * dim, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def to_complex(z: torch.Tensor) -> torch.Tensor:
    return torch.complex(*z.chunk(2, dim=-1))


def to_planes(z: torch.Tensor) -> torch.Tensor:
    return torch.cat([z.real, z.imag], dim=-1)


def weight(module) -> torch.Tensor:
    return torch.complex(*module.weight.detach())


def norm(z: torch.Tensor) -> torch.Tensor:
    """Of complex channels: both planes together have mean square 1."""
    return z / torch.sqrt((z.abs() ** 2).mean(-1, keepdim=True) / 2 + 1e-6)


def close(actual, expected, tolerance=1e-10):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


# The whole model

@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_cutting_a_text_changes_nothing(options):
    model, text = make(**options), tokens()
    whole, end = model(text)
    for cuts in ([1], [T - 1], [2, 3], [7, 8, 9], [16, 33], [3, 20], list(range(1, T))):
        pieces, state = in_pieces(model, text, cuts)
        close(pieces, whole, 1e-9)
        close(state, end, 1e-9)


@pytest.mark.parametrize("options", [{}, WHOLE], ids=str)
def test_a_token_changes_only_what_follows_it(options):
    assert_a_token_changes_only_what_follows_it(make(**options), tokens())


def test_training_computes_what_evaluation_computes():
    model, text = make(**WHOLE), tokens()
    evaluated = model(text)[0]
    assert torch.equal(model.train()(text)[0], evaluated)


def test_dropout_acts_in_training_alone_and_on_whole_channels():
    model, text = make(dropout=0.5), tokens()
    assert torch.equal(model(text)[0], make()(text)[0])
    assert not torch.allclose(model.train()(text)[0], make()(text)[0])
    dropped = phase.drop_channels(torch.ones(B, T, 2 * D), 0.5, True)
    re, im = dropped.chunk(2, dim=-1)
    assert torch.equal(re, im) and set(re.unique().tolist()) == {0.0, 2.0}


@pytest.mark.parametrize("options", VARIANTS, ids=str)
def test_every_parameter_gets_a_gradient(options):
    model, text = make(**options).train(), tokens()
    loss = F.cross_entropy(model(text)[0][:, :-1].flatten(0, 1), text[:, 1:].flatten())
    (loss + sum(model.auxiliary_losses().values())).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not 0 < p.grad.abs().max() < math.inf] == []


def test_the_state_has_as_many_bytes_at_any_length():
    model = make(**WHOLE)
    sizes = {state_bytes(model(tokens(length))[1]) for length in (1, 2, 7, 8, 9, 100)}
    state = None
    for t in range(5):
        state = model(tokens()[:, t:t + 1], state)[1]
    assert sizes == {state_bytes(state)}


def test_autocast_changes_little():
    torch.manual_seed(0)
    model, text = PhaseField(config(dim=32), VOCAB).eval(), tokens()
    exact = model(text)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        rounded = model(text)[0]
    assert (exact - rounded).abs().max() < 0.1 * exact.std() and (exact - rounded).abs().max() > 0


@pytest.mark.parametrize("target", [100_000, 300_000, 1_000_000, 8_000_000])
def test_a_parameter_budget_is_reached(target):
    spec, = phasefield.harness_models()
    assert not match_parameters(spec, PhaseFieldConfig(), set(), 257, target).note


def test_without_an_mlp_the_budget_is_reached_as_nearly_as_even_widths_allow():
    spec, = phasefield.harness_models()
    match = match_parameters(spec, PhaseFieldConfig(mlp=False), {"mlp"}, 257, 300_000)
    assert match.config.hidden is None and abs(match.error) < 2 / match.config.dim


def test_embedding_parameters_are_the_tables():
    tied, untied = count_parameters(make()), count_parameters(make(tied=False))
    assert tied.embedding == VOCAB * 2 * D and untied.embedding == 2 * tied.embedding
    assert tied.non_embedding == untied.non_embedding


@pytest.mark.parametrize("options", [{}, {"conv": 0, "tied": False}], ids=str)
def test_stated_flops_are_those_of_the_counter_and_the_recurrence(options):
    options = {**WHOLE, **options}
    model = make(**{**options, "episodic": False}).float()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(tokens())
    scan = B * T * 24 * 2 * model.config.oscillators
    assert model.flops(B, T, "prefill") == counter.get_total_flops() + scan
    assert model.flops(B, T, "train") == 3 * model.flops(B, T, "prefill")
    assert model.flops(B, 1000, "decode") * T == model.flops(B, T, "prefill")
    sparse = make(**{**options, "episodic": False}, nearest=4)
    assert model.flops(B, T, "prefill") - sparse.flops(B, T, "prefill") == B * T * 4 * D * (10 - 4)         # of values
    assert model.flops(B, T, "train") - sparse.flops(B, T, "train") == 5 * B * T * 4 * D * (10 - 4)
    attention = make(**options).flops(B, 1000, "decode") - model.flops(B, 1000, "decode")
    assert attention == B * (2 * 8 * D * 2 * D + 4 * 8 * 2 * D)      # projections; scores and values over 8 tokens


# Complex numbers as planes

def test_linear_is_the_complex_product_below_the_real_rows():
    z, plain, mixed = planes(), phase.ComplexLinear(D, 4).double(), phase.ComplexLinear(D, 4, rows=5).double()
    close(plain(z), to_planes(to_complex(z) @ weight(plain).T))
    close(mixed(z), torch.cat([z @ mixed.rows.T, to_planes(to_complex(z) @ weight(mixed).T)], dim=-1))
    order = torch.tensor([1, 0, 1, 1])
    ordered = phase.ComplexLinear(D, 4, rows=2, order=order).double()
    close(ordered(z), torch.cat([z @ ordered.rows[order].T, to_planes(to_complex(z) @ weight(ordered).T)], dim=-1))
    assert ordered.repeated == (4 - 2) * 2 * D and mixed.repeated == plain.repeated == 0


def test_the_matrix_kept_for_single_tokens_follows_its_weights():
    layer, z = phase.ComplexLinear(D, 4, rows=5).double(), planes(1)
    with torch.no_grad():
        for change in (lambda: layer.weight.mul_(2), lambda: layer.rows.add_(1), lambda: layer.double(), lambda: None):
            change()
            close(layer(z), layer(torch.cat([z, z], dim=1))[:, :1])
            close(layer(z), layer(z))
            assert layer.matrix(z) is layer.matrix(z)
    layer(z)[0, 0, 0].backward()
    assert layer.rows.grad is not None


def test_norm_keeps_phases_and_makes_unit_size():
    z = planes()
    close(to_complex(phase.phase_norm(z)), norm(to_complex(z)))
    close(to_complex(phase.phase_norm(z)).angle(), to_complex(z).angle())


def test_gates_keep_phases():
    gate, z = torch.randn(B, T, D, dtype=torch.float64), planes()
    close(to_complex(phase.gate_planes(torch.cat([gate, z], dim=-1))), F.silu(gate) * to_complex(z))


def test_written_backwards_are_the_derivatives():
    def wants(*shapes):
        return tuple(torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in shapes)

    assert torch.autograd.gradcheck(phase.phase_norm, wants((2, 3, 6)))
    assert torch.autograd.gradcheck(phase.gate_planes, wants((2, 3, 9)))
    for rows in (*wants((5, 6)), None):
        weights = (*wants((2, 4, 3)), rows)
        assert torch.autograd.gradcheck(lambda w, rows: phase._Matrix.apply(w, rows, w.dtype), weights)


def test_products_units_and_rotations():
    a, b = planes(), planes(seed=3)
    close(to_complex(phase.multiply(a, b)), to_complex(a) * to_complex(b))
    close(to_complex(phase.unit(a)), to_complex(a) / to_complex(a).abs(), 1e-4)
    angle = torch.linspace(-3, 3, 13, dtype=torch.float64)
    close(torch.stack(phase.cayley(torch.tan(angle / 2))), torch.stack([angle.cos(), angle.sin()]))


# Banks and coupler

def mlp(module, z):
    opened = F.silu(to_planes(z) @ module.up.rows.T)
    return (opened * (z @ weight(module.up).T)) @ weight(module.down).T


def test_semantic_bank_adds_the_concepts_a_token_is_coherent_with():
    bank, z = part(SemanticBank), planes()
    zc, concepts = to_complex(z), to_complex(bank.concepts)
    inner = (zc[:, :, None] * concepts.conj()).sum(-1).real
    cosine = inner / (zc.norm(dim=-1)[..., None] * concepts.norm(dim=-1))
    h = zc + torch.softmax(8 * cosine, dim=-1).to(zc.dtype) @ concepts
    close(to_complex(bank(z)[0]), h + mlp(bank.mlp, norm(h)), 1e-5)


def test_context_bank_turns_a_token_by_its_last_tokens():
    bank, z = part(ContextBank), planes()
    zc = to_complex(z)
    mixture = torch.zeros_like(zc)
    for t in range(T):
        for k in range(4):
            if t - 3 + k >= 0:
                mixture[:, t] += bank.taps[:, k] * zc[:, t - 3 + k]
    turn = zc @ weight(bank.own).T + mixture @ weight(bank.mixed).T
    h = zc * turn / turn.abs()
    close(to_complex(bank(z)[0]), h + mlp(bank.mlp, norm(h)), 1e-4)


def test_coupler_mixes_the_banks_by_what_they_say():
    coupler, z, banks = part(Coupler, **WHOLE), planes(), [planes(seed=3), planes(seed=4)]
    mixed, routing = coupler(z, banks)
    normed = [norm(to_complex(bank)) for bank in banks]
    logits = torch.cat([to_planes(bank) for bank in normed], dim=-1) @ coupler.router.weight.T + coupler.router.bias
    expected = to_complex(z)
    for k, (bank, project) in enumerate(zip(normed, coupler.projections, strict=True)):
        expected = expected + torch.softmax(logits, -1)[..., k:k + 1] * (bank @ weight(project).T)
    close(to_complex(mixed), expected)
    assert routing.std(dim=(0, 1)).min() > 0.05                      # from token to token, not a constant


def test_diversity_loss_is_the_weight_for_equal_banks_and_zero_for_orthogonal_ones():
    coupler, a = part(Coupler, **WHOLE, diversity=0.25), planes()
    turned = to_planes(1j * to_complex(a))
    close(coupler.loss([a, -3 * a]), torch.tensor(0.25, dtype=torch.float64))
    close(coupler.loss([a, turned]), torch.tensor(0.0, dtype=torch.float64))


def test_the_auxiliary_loss_pulls_banks_apart():
    model, text = make(**WHOLE, diversity=1.0).train(), tokens()
    model(text)
    before = model.auxiliary_losses()["coupling"]
    before.backward()
    with torch.no_grad():
        for parameter in model.banks.parameters():
            parameter -= 0.05 * parameter.grad
    model(text)
    assert model.auxiliary_losses()["coupling"] < before


def test_routing_entropy_spans_zero_to_one():
    assert routing_entropy(torch.full((B, T, 3), 1 / 3)) == pytest.approx(1)
    assert routing_entropy(F.one_hot(tokens() % 3, 3).double()) == pytest.approx(0, abs=1e-9)


# Backbone

@pytest.mark.parametrize("output_gate", [True, False])
def test_oscillators_follow_the_recurrence(output_gate):
    layer, z = part(OscillatorLayer, 1.0, output_gate=output_gate, state_dim=5, skip=True), planes()
    shared, *own = (z @ layer.input.rows.T).split([2, 5][:1 + output_gate], dim=-1)
    gates = [shared[..., [0, 0, 0, 0, 1]], *own]                     # four oscillators, then one, share a decay gate
    drive = to_complex(z) @ weight(layer.input).T
    rotation = torch.exp(2j * torch.atan(layer.half_tangent))
    h, states = torch.zeros(B, 5, dtype=torch.complex128), []
    for t in range(T):
        decay = layer.delta() * (1 - torch.sigmoid(gates[0][:, t] + layer.gate_bias))
        h = decay * rotation * h + torch.sqrt(1 - decay ** 2) * drive[:, t]
        states.append(h)
    read = torch.stack(states, dim=1) * (F.silu(gates[1]) if output_gate else 1)
    y, state = layer(z)
    close(to_complex(y), read @ weight(layer.output).T + to_complex(z) @ weight(layer.skip).T)
    close(to_complex(state["h"]), h)


def test_half_lives_and_periods_start_spread_out():
    torch.manual_seed(0)
    layer = OscillatorLayer(PhaseFieldConfig(dim=8, state_dim=4000), 1.0)
    decay = layer.delta() * torch.sigmoid(-layer.gate_bias)
    half_life = (math.log(0.5) / decay.log()).detach()
    period = math.pi / torch.atan(layer.half_tangent.detach()).abs()
    for spread, low, high in ((half_life, 1, 32), (period, 2.2, 512)):
        assert float(spread.min()) == pytest.approx(low, rel=0.05)
        assert float(spread.max()) == pytest.approx(high, rel=0.05)
        assert float(spread.median()) == pytest.approx(math.sqrt(low * high), rel=0.2)          # log-uniform
    assert 0.45 < (layer.half_tangent > 0).float().mean() < 0.55


def test_activations_start_at_unit_size():
    torch.manual_seed(0)
    settings = PhaseFieldConfig(dim=64, layers=6)
    z = Backbone(settings)(phase.phase_norm(torch.randn(4, 100, 128)))[0]
    assert 0.8 < z.std() < 2


# Memories

def test_associative_memory_reads_its_slots_by_coherence():
    memory, z = part(PhaseMemory), planes()
    query = norm(to_complex(z)) @ weight(memory.query).T
    keys, values = to_complex(memory.keys), to_complex(memory.values)
    inner = (query[:, :, None] * keys.conj()).sum(-1).real
    cosine = inner / (query.norm(dim=-1)[..., None] * keys.norm(dim=-1))
    read = torch.softmax(8 * cosine, dim=-1).to(values.dtype) @ values
    close(to_complex(memory(z)[0]), to_complex(z) + norm(read) @ weight(memory.output).T, 1e-5)


def windowed_attention(memory: EpisodicMemory, z: torch.Tensor) -> torch.Tensor:
    """The full T x T attention with positions counted from the start of the text, masked to the window."""
    length, heads = z.shape[1], memory.heads
    qkv = (to_planes(norm(to_complex(z))) @ memory.qkv.T).view(B, length, 3, heads, -1)
    query, key, value = (to_complex(x).transpose(1, 2) for x in qkv.unbind(2))                   # (B, H, T, D / 2)
    turn = torch.exp(1j * torch.arange(length)[:, None] * memory.frequencies)
    scores = ((query * turn) @ (key * turn).conj().transpose(2, 3)).real / math.sqrt(2 * query.shape[-1])
    distance = torch.arange(length)[:, None] - torch.arange(length)
    scores = scores.masked_fill((distance < 0) | (distance >= memory.window), -math.inf)
    read = to_planes(torch.softmax(scores, dim=-1).to(value.dtype) @ value)
    return z + read.transpose(1, 2).flatten(2) @ memory.output.T


@pytest.mark.parametrize("length", [1, 5, 7, 8, 9, 15, 16, 17, 41])
def test_episodic_memory_is_full_attention_masked_to_its_window(length):
    memory, z = part(EpisodicMemory), planes(length)
    close(memory(z)[0], windowed_attention(memory, z))


def test_episodic_memory_depends_on_distances_not_on_positions():
    memory, z = part(EpisodicMemory), planes()
    shifted = memory(torch.cat([planes(13, seed=9), z], dim=1))[0]
    close(shifted[:, 13 + 7:], memory(z)[0][:, 7:])                  # once the window holds the same tokens


def test_episodic_memory_never_holds_a_square_of_the_length():
    class Largest(TorchDispatchMode):
        size = 0

        def __torch_dispatch__(self, function, types, args=(), kwargs=None):
            result = function(*args, **(kwargs or {}))
            for out in result if isinstance(result, tuple | list) else [result]:
                if isinstance(out, torch.Tensor):
                    self.size = max(self.size, out.numel())
            return result

    memory, sizes = part(EpisodicMemory), []
    for length in (512, 1024, 2048):
        with Largest() as largest, torch.no_grad():
            memory(planes(length))
        sizes.append(largest.size)
    assert sizes[2] <= 4.1 * sizes[0] and sizes[2] < B * 2048 * 2048 / 20


# The plugin

def test_bad_options_are_refused():
    for options in ({"banks": ("semantics",)}, {"dim": 7, "episodic": True}, {"context": 0}, {"longest": 300}):
        with pytest.raises((ValueError, UsageError), match=f"{next(iter(options))[:4]}"):
            config(**options)


def test_the_hook_names_what_exists_and_options_parse():
    spec, = phasefield.harness_models()
    assert resolve(spec.target) is PhaseField and resolve(spec.config) is PhaseFieldConfig
    built = build(spec, {"banks": "context", "layers": "1", "episodic": "false"}, VOCAB)
    assert built.config.banks == ("context",) and built.model.episodic is None


def test_parts_left_open_are_those_of_the_form():
    right, published = PhaseFieldConfig(), PhaseFieldConfig(as_published=True)
    assert (right.banks, right.memory, right.episodic, right.oscillators) == ((), "none", False, 3 * right.dim)
    assert {name: getattr(published, name) for name in WHOLE} == WHOLE and published.oscillators == 2 * published.dim
    without = PhaseFieldConfig(as_published=True, banks=(), memory="none", episodic=False)
    assert (without.banks, without.memory, without.episodic) == ((), "none", False)
    assert PhaseFieldConfig(**PhaseFieldConfig.PRESETS["medium"]).banks == published.banks


def test_the_config_needs_no_torch():
    assert "torch" not in Path(phasefield.__file__).with_name("config.py").read_text().replace("(no torch)", "")


def test_claims_quote_their_source():
    path, = phasefield.harness_claims()
    assert len(parse_claims(path)) == 23
