"""The superposition model: its parts against sequential float64 references, a carried state, an objective at one with
itself; and the published form, whose leaks the audit names."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from harness.plugins import superposition
from harness.plugins.superposition.coherence import PhaseCoherence
from harness.plugins.superposition.config import SuperpositionConfig
from harness.plugins.superposition.entanglement import Entanglement, entangle
from harness.plugins.superposition.model import ConceptLayer, PhaseProcessor, Superposition
from harness.plugins.superposition.objective import concept_information, coupling_entropy, phase_energy
from laws import assert_a_token_changes_only_what_follows_it, in_pieces
from torch.utils.flop_counter import FlopCounterMode

from harness import Unsupported
from harness.audit.auditor import audit
from harness.evidence.claims.file import parse_claims
from harness.model import count_parameters, state_bytes
from harness.specs import resolve

VOCAB, B, T = 17, 2, 41
PUBLISHED = {"as_published": True, "dim": 16, "layers": 2, "heads": 2, "phases": 4, "concepts": 8, "positions": 64}


def make(**options) -> Superposition:
    torch.manual_seed(0)
    return Superposition(SuperpositionConfig(**{"dim": 24, "layers": 2, "heads": 3, **options}), VOCAB).eval()


def tokens(length: int = T) -> torch.Tensor:
    return torch.randint(VOCAB, (B, length), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("options", [{}, {"scales": 0, "concepts": 0}, {"scales": 2, "tied": False}], ids=str)
@pytest.mark.parametrize("cuts", [[1], [40], [5, 6, 7], [16, 33], list(range(1, T))], ids=str)
@torch.no_grad()
def test_cutting_a_text_changes_nothing(options, cuts):
    model = make(**options)
    whole, end = model(tokens())
    pieces, state = in_pieces(model, tokens(), cuts)
    torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(state, end, rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_a_token_changes_only_what_follows_it():
    assert_a_token_changes_only_what_follows_it(make(), tokens())


@pytest.mark.parametrize("chunk", [1, 7, 64])
def test_entanglement_is_the_recurrence_step_by_step(chunk):
    """S = a R S + k v^T with R the rotation of channel i against channel i + K / 2, in complex numbers."""
    torch.manual_seed(0)
    q, k = torch.randn(2, B, 3, 23, 4, dtype=torch.double)
    v, state = torch.randn(B, 3, 23, 5, dtype=torch.double), torch.randn(B, 3, 4, 5, dtype=torch.double)
    log_decay, turn = -torch.rand(B, 3, 23, dtype=torch.double), torch.rand(3, 2, dtype=torch.double) * 3
    got, last = entangle(q, k, v, log_decay, turn, state, chunk)

    def paired(x: torch.Tensor) -> torch.Tensor:
        return torch.complex(x[..., :2], x[..., 2:])

    S = torch.complex(state[:, :, :2], state[:, :, 2:])                      # the state stands before the first token
    expected = []
    for t in range(23):
        decay = log_decay[:, :, t].exp()[..., None, None]
        S = decay * (S * torch.exp(-1j * turn)[..., None] if t else S)
        S = S + paired(k[:, :, t])[..., None] * v[:, :, t, None, :]
        expected.append((paired(q[:, :, t]).conj()[..., None] * S).real.sum(dim=-2))
    torch.testing.assert_close(got, torch.stack(expected, dim=2), rtol=1e-9, atol=1e-9)
    S = S * torch.exp(-1j * turn)[..., None]                                 # and afterwards before the next one
    torch.testing.assert_close(last, torch.cat([S.real, S.imag], dim=2), rtol=1e-9, atol=1e-9)


def test_half_lives_of_the_couplings_start_log_uniform():
    layer = Entanglement(18, 3, 64.0)
    layer.initialise_decay()
    rate = F.softplus(layer.into.bias[-3:].double())
    torch.testing.assert_close(math.log(2) / rate, torch.tensor([1.0, 8.0, 64.0]).double(), rtol=1e-4, atol=0)


@torch.no_grad()
def test_coherence_is_that_of_the_windows_that_end_at_each_token():
    layer, x = PhaseCoherence(6, 3, 3), torch.randn(B, 13, 6)
    _, coherence, window = layer(x, None)
    wave = torch.exp(1j * layer.phase(x).double())
    padded = torch.cat([torch.zeros(B, 7, 3, dtype=wave.dtype), wave], dim=1)
    for t in range(13):
        for scale, size in enumerate((2, 4, 8)):
            mean = padded[:, t + 8 - size:t + 8].sum(dim=1) / size
            expected = mean.abs() * torch.cos(wave[:, t].angle() - mean.angle())
            torch.testing.assert_close(coherence[:, t, scale], expected.float(), rtol=1e-5, atol=1e-5)
    last = wave[:, -7:]
    torch.testing.assert_close(window, torch.cat([last.real, last.imag], dim=-1).float(), rtol=1e-5, atol=1e-5)


@torch.no_grad()
def test_concepts_are_superposed_with_unit_norm():
    layer, x = ConceptLayer(6, 5), torch.randn(B, 4, 6)
    got, log_weight = layer(x)
    weight, phase = layer.superpose(x).chunk(2, dim=-1)
    amplitude = weight.softmax(dim=-1).sqrt() * torch.exp(1j * phase)
    torch.testing.assert_close(amplitude.abs().square().sum(dim=-1), torch.ones(B, 4))
    concepts = torch.complex(layer.concepts.weight[:, :5], -layer.concepts.weight[:, 5:])
    torch.testing.assert_close(got, (amplitude @ concepts.T).real, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(log_weight, weight.log_softmax(dim=-1))


def bend(process, x, step) -> float:
    """Second difference against the first: 0 for an affine map."""
    ahead, here, behind = process(x + step), process(x), process(x - step)
    return ((ahead - 2 * here + behind).norm() / (ahead - behind).norm()).item()


@torch.no_grad()
def test_the_processor_is_not_linear_and_the_published_stack_is_affine():
    torch.manual_seed(0)
    x, step = torch.randn(2, B, 9, 16, dtype=torch.double)
    right = PhaseProcessor(16, 20).double()
    assert bend(right, x, step) > 0.1
    published = torch.nn.Sequential(*make(**PUBLISHED).body.processors).double()
    small = 0.1 * x, 0.01 * step                                             # too little variance to change the width
    assert bend(published, *small) < 1e-9 < 1e-3 < bend(right, *small)
    amplitude, phase = right.into(x).chunk(2, dim=-1)
    wave = F.silu(amplitude) * torch.exp(1j * phase)
    torch.testing.assert_close(right(x), right.out(torch.cat([wave.real, wave.imag], dim=-1)))


def descend(model: Superposition, text: torch.Tensor, lr: float, steps: int = 15) -> dict[str, float]:
    """By how much each term changes, in units of its weight, while their sum is descended."""
    optimizer, history = torch.optim.SGD(model.parameters(), lr=lr), []
    for _ in range(steps):
        torch.manual_seed(0)                                                 # the published terms sample positions
        model(text)
        losses = {name: term for name, term in model.auxiliary_losses().items() if getattr(model.config, name)}
        history.append({name: term.item() / getattr(model.config, name) for name, term in losses.items()})
        optimizer.zero_grad()
        sum(losses.values()).backward()
        optimizer.step()
    return {name: history[-1][name] - history[0][name] for name in history[0]}


def test_descending_the_objective_lowers_both_of_its_terms():
    change = descend(make(energy=1.0, concept=1.0).train(), tokens(20), lr=0.3)
    assert set(change) == {"energy", "concept"} and max(change.values()) < -0.02


def test_each_term_of_the_objective_trains_parameters_of_its_own():
    model = make().train()
    model(tokens())
    reached = {}
    for term, loss in model.auxiliary_losses().items():
        grads = torch.autograd.grad(loss, list(model.parameters()), allow_unused=True)
        reached[term] = {name for (name, _), grad in zip(model.named_parameters(), grads, strict=True)
                         if grad is not None and grad.any()}
    assert reached["concept"] == {"body.concepts.superpose.weight", "body.concepts.superpose.bias"}
    assert reached["energy"] == {
        f"body.blocks.{block}.coherence.phase.{part}" for block in (0, 1) for part in ("weight", "bias")}


def test_terms_of_the_objective_are_those_of_the_forward_pass():
    model = make(energy=2.0, concept=3.0).train()
    _, state = model(tokens())
    model((tokens() + 1) % VOCAB, state)                                     # with a window carried in
    losses, found = model.auxiliary_losses(), model.diagnostics()
    assert losses["energy"].item() == pytest.approx(2 * found["phase_energy"], rel=1e-5)
    assert losses["concept"].item() == pytest.approx(-3 * found["concept_information"], rel=1e-5)
    model.eval()(tokens())
    assert model.auxiliary_losses() == {}                                    # nothing is kept for them in evaluation


def test_descending_the_published_objective_raises_one_of_its_terms():
    """The energy enters with the sign that lowers coherence, the coherence with the one that raises it."""
    change = descend(make(**PUBLISHED, concept=0.0), tokens(20), lr=10.0)
    assert set(change) == {"energy", "coherence"}
    assert change["energy"] < -0.02 and change["coherence"] > 0.02


def test_the_terms_have_the_bounds_that_they_state():
    assert phase_energy(torch.full((2, 3, 1, 4), -1.0)).item() == 2 and phase_energy(torch.ones(2, 3)).item() == 0
    sure = torch.eye(4).log().clamp_min(-1e4).expand(3, 4, 4)                # each token its own concept
    assert concept_information(sure).item() == pytest.approx(math.log(4), abs=1e-5)
    alike = torch.randn(1, 1, 4).log_softmax(-1).expand(2, 5, 4)
    assert concept_information(alike).item() == pytest.approx(0, abs=1e-6)
    product = torch.randn(4, 1) @ torch.randn(1, 6)                          # one pair of vectors is not entangled
    assert coupling_entropy([product]) == pytest.approx(0, abs=1e-4)
    assert coupling_entropy([torch.eye(6)]) == pytest.approx(math.log(6), abs=1e-5)


def test_diagnostics_are_functions_of_the_text():
    model = make()
    with torch.no_grad():
        _, state = model(tokens())
        found = model.diagnostics()
        model(torch.zeros_like(tokens()))
    assert found["phase_energy"] > model.diagnostics()["phase_energy"]      # one token over and over is coherent
    assert found["entanglement_entropy"] == pytest.approx(coupling_entropy([s for _, s in state]))


def test_the_state_is_as_large_after_any_length():
    model = make()
    sizes = {length: state_bytes(model(tokens(length))[1]) for length in (1, 2, 40)}
    assert set(sizes.values()) == {2 * B * (15 * 2 * 6 + 3 * 8 * 8) * 4}     # windows and operators of 2 layers


def test_every_parameter_learns():
    model = make().train()
    loss = model(tokens())[0].square().sum() + sum(model.auxiliary_losses().values())
    loss.backward()
    assert all(p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters())


def test_logits_start_near_uniform():
    torch.manual_seed(0)
    logits, _ = Superposition(SuperpositionConfig(), 257)(torch.randint(257, (2, 64)))
    loss = F.cross_entropy(logits.flatten(0, 1), torch.randint(257, (128,)))
    assert loss.item() == pytest.approx(5.55, abs=0.8)


@pytest.mark.parametrize(("options", "length"), [({}, 41), ({}, 128), (PUBLISHED, 41)], ids=str)
def test_stated_flops_are_those_of_the_counter(options, length):
    """Which leaves out the fused attention of the published form: for all pairs, 4 operations a channel."""
    model, attention = make(**options), 0
    if options:
        attention = B * length**2 * 4 * model.config.concept_channels
        model.body.embedding.weight.data *= 30                               # a variance that asks for the widest
        for processor in model.body.processors:
            processor.expand[0].weight.data *= 10
    with FlopCounterMode(display=False) as counter:
        model(tokens(length))
    stated = model.flops(B, length, "prefill")
    assert stated == counter.get_total_flops() + attention
    assert model.flops(B, length, "train") == 3 * stated


def test_dropout_acts_in_training_only():
    model = make(dropout=0.5)
    assert torch.equal(model(tokens())[0], model(tokens())[0])
    model.train()
    assert not torch.equal(model(tokens())[0], model(tokens())[0])


def test_the_right_form_passes_the_audit():
    report = audit(make(), [37])
    assert report.passed, report.summary()
    assert report.dead == ()


def test_the_audit_names_what_the_published_form_sees():
    """The future, other rows, another function in training; and parameters that nothing ever reaches."""
    report = audit(make(**PUBLISHED), [37])
    failed = {finding.check for finding in report.failures}
    assert {"suffix perturbation", "batch independence", "split law", "train = eval"} <= failed
    leak = next(finding for finding in report.failures if finding.check == "suffix perturbation")
    assert leak.position == 0 and leak.size > 0.01


def test_parts_of_the_published_form_never_get_a_gradient():
    model = make(**PUBLISHED).train()
    (model(tokens())[0].square().sum() + sum(model.auxiliary_losses().values())).backward()
    dead = {name for name, p in model.body.named_parameters() if p.grad is None}
    assert {"unused.0", "unused.1", "coherence.clusters", "coherence.assignments", "coherence.scales"} <= dead
    assert model.body.concepts.languages.grad[1:].abs().max() == 0 < model.body.concepts.languages.grad[0].abs().max()


@torch.no_grad()
def test_the_published_coherence_couples_rows_and_looks_ahead():
    layer = make(**PUBLISHED).body.coherence
    x, text = torch.randn(B, 21, 16), tokens(21)
    before = layer(x, text)
    other = x.clone()
    other[1] = torch.randn(21, 16)
    assert (layer(other, text)[0] - before[0]).abs().max() > 1e-4
    ahead = x.clone()
    ahead[:, 16:] = torch.randn(B, 5, 16)
    moved = (layer(ahead, text) - before).abs().amax(dim=(0, 2))
    assert moved[0] == 0 and moved[1] > 1e-4                                 # 15 positions back


@pytest.mark.parametrize(("preset", "count"), [("default", 24_523_017), ("recipe", 49_345_033)])
def test_the_presets_have_the_published_counts(preset, count):
    """24.5M, and the recipe's 49.3M with its 512 positions (49.8M with the default's 1024), over 256 bytes."""
    sizes = SuperpositionConfig.PRESETS[preset]

    def total(vocab_size: int, **options) -> int:
        with torch.device("meta"):
            config = SuperpositionConfig(**{**sizes, **options, "as_published": True})
            return count_parameters(Superposition(config, vocab_size)).total

    assert total(256) == count
    tables = 512 + sizes["dim"] + sizes["phases"] + 1 + 64 + 256 + sizes["dim"] + 1      # rows of a further token
    assert total(257) == count + tables + 257**2 - 256**2                                # and the similarity matrix
    if preset == "recipe":
        assert round(total(256, positions=1024) / 1e6, 1) == 49.8


def test_as_published_a_text_ends_with_the_table():
    with pytest.raises(Unsupported, match="ends at 64 tokens; set positions=65"):
        make(**PUBLISHED)(tokens(65))


@pytest.mark.parametrize(("options", "words"), [
    ({"heads": 5}, "multiple of 2 \\* heads"), ({"layers": 0}, "layers"), ({"scales": -1}, "scales"),
    ({"as_published": True, "concept_dim": 12}, "multiple of 8"),
])
def test_a_config_that_cannot_be_built_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        SuperpositionConfig(**options)


def test_the_hook_names_what_exists_and_the_claims_are_those_of_the_seed():
    spec, = superposition.harness_models()
    assert resolve(spec.target) is Superposition and resolve(spec.config) is SuperpositionConfig
    assert "import torch" not in Path(superposition.__file__).with_name("config.py").read_text()
    claims = parse_claims(superposition.harness_claims()[0])
    assert len(claims) == 17 and {claim.source for claim in claims} == {"seed 001"}


@torch.no_grad()
def test_the_published_schedule_goes_on_where_a_checkpoint_ends():
    """Noise, mixture and coin depend on the number of forward passes in training."""
    def step(model: Superposition) -> torch.Tensor:
        torch.manual_seed(1)
        return model(tokens())[0]

    trained, resumed, new = (make(**PUBLISHED).train() for _ in range(3))
    for _ in range(50):
        trained(tokens())
    resumed.load_state_dict(trained.state_dict())
    new.load_state_dict(trained.state_dict() | {"body.step": torch.tensor(0)})
    assert torch.equal(step(resumed), step(trained)) and not torch.equal(step(new), step(trained))
