"""The brain-inspired model: a carried state, each mechanism against its sequential formula, the published faults."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from harness.plugins import brain
from harness.plugins.brain.branch import MAX_DECAY
from harness.plugins.brain.config import BrainConfig
from harness.plugins.brain.consciousness import SALIENCE, Consciousness
from harness.plugins.brain.memory import LongTermMemory, ShortTermMemory
from harness.plugins.brain.model import Brain
from harness.plugins.brain.plasticity import CHUNK, COMPETITION, SILENT, Plasticity
from harness.plugins.brain.spiking import Spike, Spiking
from laws import assert_a_token_changes_only_what_follows_it, in_pieces
from torch.utils.flop_counter import FlopCounterMode

from harness import Unsupported
from harness.audit.auditor import audit
from harness.evidence.claims.file import parse_claims
from harness.model import count_parameters, state_bytes
from harness.specs import resolve

VOCAB, B, T = 17, 2, 41
SMALL = {"dim": 16, "layers": 2, "slots": 3, "slot_dim": 4, "heads": 2, "synapses": 4, "concepts": 5, "concept_dim": 6}


def make(**options) -> Brain:
    torch.manual_seed(0)
    model = Brain(BrainConfig(**{**SMALL, **options}), VOCAB).eval()
    for name, parameter in model.named_parameters():
        if "delays" in name:                                        # not the identity
            torch.nn.init.normal_(parameter, std=0.5)
    return model


def tokens(length: int = T) -> torch.Tensor:
    return torch.randint(VOCAB, (B, length), generator=torch.Generator().manual_seed(1))


def branch(kind, *arguments):
    """A branch with random weights in float64, and inputs for it."""
    torch.manual_seed(0)
    made = kind(*arguments).double()
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    made.initialise()
    return made, torch.randn(B, 9, 6, dtype=torch.double)


@torch.no_grad()
@pytest.mark.parametrize("options", [{}, {"neurons": 24, "hidden": 10, "tied": False, "ramp": 0.25}], ids=str)
@pytest.mark.parametrize("cuts", [[1], [40], [2, 3], [5, 6, 7], [16, 33], list(range(1, T))], ids=str)
def test_cutting_a_text_changes_nothing(options, cuts):
    model = make(**options)
    whole, end = model(tokens())
    pieces, state = in_pieces(model, tokens(), cuts)
    torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(state["carried"], end["carried"], rtol=1e-4, atol=1e-4)


@torch.no_grad()
@pytest.mark.parametrize("cuts", [[CHUNK], [CHUNK - 1, CHUNK + 3], [70, 201]], ids=str)
def test_cutting_a_text_of_several_chunks_changes_nothing(cuts):
    model, text = make(), tokens(2 * CHUNK + 7)
    torch.testing.assert_close(in_pieces(model, text, cuts)[0], model(text)[0], rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_a_token_changes_only_what_follows_it():
    assert_a_token_changes_only_what_follows_it(make(), tokens())


def test_the_defaults_pass_the_audit():
    report = audit(make(dim=24), [1, 33, CHUNK + 5], jitter=0.02)
    assert report.passed, report.summary()
    assert report.dead == ()


@torch.no_grad()
def test_the_workspace_is_a_softmax_over_the_past_that_fades():
    layer, x = branch(Consciousness, 6, 64.0)
    got, _, _ = layer.workspace(x, None)
    awareness, attention, memory, intention = layer.views(layer.norm(x)).chunk(4, dim=-1)
    salience = SALIENCE * (attention / SALIENCE).tanh()
    for t in range(9):
        age = torch.stack([(MAX_DECAY * torch.sigmoid(-memory[:, s + 1:t + 1])).log().sum(1) for s in range(t + 1)], 1)
        weight = (salience[:, :t + 1] + age).softmax(1)
        torch.testing.assert_close(got[:, t], (weight * awareness[:, :t + 1].tanh()).sum(1))
    torch.testing.assert_close(layer(x)[0], (intention.sigmoid() * got) @ layer.out.weight.T)


@torch.no_grad()
def test_slots_keep_what_their_gates_let_them():
    layer, x = branch(ShortTermMemory, 6, 3, 4, 64.0)
    got, last = layer.read(x, None)
    write, read, content = layer.into(layer.norm(x)).split([3, 3, 4], -1)
    slots = torch.zeros(B, 3, 4, dtype=torch.double)
    for t in range(9):
        keep = (MAX_DECAY * torch.sigmoid(-write[:, t]))[..., None]
        slots = keep * slots + (1 - keep) * content[:, t, None]
        torch.testing.assert_close(got[:, t], torch.einsum("bs,bsd->bd", read[:, t].softmax(-1), slots))
    torch.testing.assert_close(last, slots.flatten(1))


@torch.no_grad()
def test_a_neuron_is_its_formula_step_by_step():
    layer, x = branch(Spiking, 6, 5, 0.5, 64.0)
    arrived, _ = layer.delays(layer.norm(x))
    gate, current, gain = layer.into(arrived).chunk(3, dim=-1)
    leak, v, expected = MAX_DECAY / (1 + gate.exp()), torch.zeros(B, 5, dtype=torch.double), []
    for t in range(9):
        v = leak[:, t] * v + (1 - leak[:, t] ** 2).sqrt() * current[:, t]
        spikes = ((v - layer.threshold) / 0.5).clamp(0, 1)
        expected.append((spikes * F.silu(gain[:, t])) @ layer.out.weight.T)
    torch.testing.assert_close(layer(x)[0], torch.stack(expected, dim=1))


@torch.no_grad()
def test_fast_weights_recall_what_followed_the_cells_that_fire(monkeypatch):
    monkeypatch.setattr("harness.plugins.brain.plasticity.CHUNK", 4)
    layer, x = branch(Plasticity, 6, 5, 2, 3)
    fired = layer.fire(x).view(B, 9, 2, 2, 3)
    keep = layer.retention.sigmoid()
    total = torch.zeros(B, 2, 3, 3, dtype=torch.double)
    overlap, before = torch.zeros(B, 2, 3, dtype=torch.double), torch.zeros(B, 2, 3, dtype=torch.double)
    expected = []
    for t in range(9):
        pre, post = (COMPETITION * fired[:, t, 0]).softmax(-1), fired[:, t, 1]
        total = keep[:, None, None] * total + before[..., :, None] * post[..., None, :]
        overlap = keep[:, None] * overlap + before
        found = torch.einsum("bhi,bhij->bhj", pre, total)
        expected.append((found / ((pre * overlap).sum(-1, keepdim=True) + SILENT)).flatten(1))
        before = pre
    torch.testing.assert_close(layer.fast(x, None)[0], torch.stack(expected, dim=1))


@torch.no_grad()
def test_half_lives_of_membranes_start_log_uniform():
    layer, _ = branch(Spiking, 6, 9, 1.0, 256.0)
    half_lives = math.log(0.5) / (MAX_DECAY * torch.sigmoid(-layer.into.bias[:9])).log()
    torch.testing.assert_close(half_lives, 256.0 ** torch.linspace(0, 1, 9).double(), rtol=1e-4, atol=0)


def test_spikes_are_events_and_silent_neurons_still_learn():
    height = torch.tensor([-2.0, -0.1, 0.25, 0.9, 3.0], requires_grad=True)
    spikes = Spike.apply(height)
    assert spikes.tolist() == [0.0, 0.0, 0.25, pytest.approx(0.9), 1.0]
    spikes.sum().backward()
    assert height.grad is not None and height.grad.min() > 0 and height.grad.argmax() == 2


@torch.no_grad()
def test_event_counts_are_those_of_the_spikes():
    model = make()
    seen = []
    for layer in model.spiking:
        layer.out.register_forward_pre_hook(lambda _, inputs: seen.append((inputs[0] != 0).double().mean().item()))
    model(tokens())
    told, rate = model.diagnostics(), sum(seen) / len(seen)
    assert 0 < rate < 1 and told["spike_rate"] == pytest.approx(rate, rel=1e-5)
    assert told["spiking_macs_dense"] == 2 * 16 * 16
    assert told["spiking_macs_events"] == pytest.approx(rate * 2 * 16 * 16, rel=1e-5)
    assert told["macs"] > told["spiking_macs_dense"]


def test_the_state_is_as_large_after_any_length():
    model = make()
    sizes = {length: state_bytes(model(tokens(length))[1]) for length in (1, 2, 40)}
    layer = 16 + 3 * 16 + 2 * 4 * 5 + 2 * 4
    assert set(sizes.values()) == {B * (2 * 16 + 3 * 4 + 2 * layer) * 4}


def test_every_parameter_learns_and_the_count_is_the_formula():
    model = make(neurons=20, hidden=10)
    F.cross_entropy(model(tokens())[0].flatten(0, 1), tokens().flatten()).backward()
    still = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().max() > 0]
    assert still == []
    spiking = 16 + 4 * 16 + (16 + 1) * 60 + 20 + 20 * 16
    plasticity = 16 + 3 * 16 * 10 + 16 * 2 * 2 * 4 + 2 + 2 * 4 * 16
    consciousness, short_term = 16 + 4 * 16 * 17 + 16 * 16, 16 + 17 * (2 * 3 + 4) + 4 * 16
    long_term = 16 + 16 * 6 + 5 * 6 + 5 * 16 + 1
    assert count_parameters(model).non_embedding == (
        consciousness + short_term + 2 * (spiking + plasticity) + long_term + 16)
    assert count_parameters(model).embedding == VOCAB * 16


@pytest.mark.parametrize("length", [1, T, CHUNK + 3])
def test_stated_flops_are_those_of_the_counter_and_the_scans(length):
    model = make()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(tokens(length))
    counted = sum(counter.get_flop_counts()["Global"].values())
    scans = 2 * 7 * 16 + 6 * 16 + 3 * 3 * 4
    if length == 1:                             # a convolution with one result is no convolution to the counter
        counted += B * 2 * 2 * 4 * 16
    if length > CHUNK:                          # what a chunk leaves behind: its memories decay as one
        assert model.flops(B, length, "prefill") == pytest.approx(counted + B * length * scans, rel=0.02)
    else:
        assert model.flops(B, length, "prefill") == counted + B * length * scans
    assert model.flops(B, length, "train") == 3 * model.flops(B, length, "prefill")


# Writing


def taught(model, pairs, contexts):
    """The state after every pair was written once behind each of `contexts`, for a batch of all cues."""
    cues, answers = pairs
    state = None
    for context in contexts:
        for cue, answer in zip(cues, answers, strict=True):
            state = model.write(torch.cat([context, cue])[None], answer[None], state)
    return {**state, "episodes": tuple(part.expand(len(cues), *part.shape[1:]) for part in state["episodes"])}


def accuracy(model, pairs, state=None, context=()):
    cues, answers = pairs
    asked = torch.cat([torch.as_tensor(context, dtype=torch.int64).expand(len(cues), -1), cues], 1)
    with torch.no_grad():
        logits, _ = model(asked, state)
    return (logits[:, -1].argmax(-1) == answers).double().mean().item()


@pytest.fixture
def pairs():
    """16 cues of 6 letters that differ, each with an answer of its own among 200 tokens."""
    generator = torch.Generator().manual_seed(3)
    cues = torch.randint(97, 123, (16, 6), generator=generator)
    return cues, torch.randperm(200, generator=generator)[:16]


def whole(seed=0) -> Brain:
    torch.manual_seed(seed)
    return Brain(BrainConfig(dim=48), 257).eval()


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_one_writing_is_enough_and_without_it_answers_are_chance(pairs, seed):
    model, nothing = whole(seed), [torch.zeros(0, dtype=torch.int64)]
    assert accuracy(model, pairs) <= 2 / 16
    assert accuracy(model, pairs, taught(model, pairs, nothing)) == 1.0
    wrong = (pairs[0], pairs[1].roll(1))                    # the answer is what was written, not what fits
    assert accuracy(model, wrong, taught(model, wrong, nothing)) == 1.0
    assert accuracy(model, pairs, taught(model, wrong, nothing)) <= 1 / 16


def test_more_examples_carry_further(pairs):
    """Asked behind a text they were never written behind, cues are recognised the better the more texts were seen."""
    generator = torch.Generator().manual_seed(5)
    contexts = [torch.randint(97, 123, (20,), generator=generator) for _ in range(8)]
    scores = {1: 0.0, 6: 0.0}
    for seed in range(2):
        for shots in scores:
            model = whole(seed)
            state = taught(model, pairs, contexts[:shots])
            scores[shots] += sum(accuracy(model, pairs, state, context) for context in contexts[6:]) / 4
    assert 2 / 16 < scores[1] < scores[6]


@torch.no_grad()
def test_writing_is_part_of_the_state_and_of_nothing_else(pairs):
    model = whole()
    before, text = model(pairs[0])[0], pairs[0]
    _, reading = model(text[:, :3])
    state = model.write(text, pairs[1], reading)
    assert torch.equal(model(pairs[0])[0], before)                          # the model itself did not change
    torch.testing.assert_close(state["carried"], reading["carried"])        # nor where the text was being read
    assert reading["episodes"] is None
    logits, after = model(text[:, 3:], state)
    assert torch.equal(after["episodes"][1], state["episodes"][1])          # carried on
    torch.testing.assert_close(logits.exp().sum(-1), torch.ones(16, 3))     # a mixture of probabilities
    pieces, _ = in_pieces(model, text[:, 3:], range(1, text.shape[1] - 3), state)
    torch.testing.assert_close(pieces, logits, rtol=1e-4, atol=1e-4)


def test_the_oldest_episodes_give_way():
    model, state = make(episodes=3), None
    for answer in range(5):
        state = model.write(tokens(4)[:1], torch.tensor([answer]), state)
    assert state["episodes"][1].tolist() == [[2, 3, 4]]


@torch.no_grad()
def test_long_term_memory_is_one_softmax_over_concepts_and_episodes():
    layer, x = branch(LongTermMemory, 6, 5, 4)
    written = F.normalize(torch.randn(B, 2, 4, dtype=torch.double), dim=-1)
    y, weight = layer(x, (written, torch.tensor([[1, 2]] * B)))
    asked = layer.cue(layer.norm(x))
    cosines = [F.cosine_similarity(asked, key, dim=-1) for key in layer.keys]
    cosines += [F.cosine_similarity(asked, written[:, e, None], dim=-1) for e in range(2)]
    expected = (layer.sharpness * torch.stack(cosines, -1)).softmax(-1)
    torch.testing.assert_close(y, expected[..., :5] @ layer.concepts)
    torch.testing.assert_close(weight, expected[..., 5:])


# As published


@pytest.mark.parametrize(("preset", "parameters"), [
    ("small", 3_423_464), ("published", 16_420_584), ("medium", 20_629_224), ("large", 64_463_080),
])
def test_published_sizes_have_the_published_counts(preset, parameters):
    """All parameters over 256 tokens: tables, membranes, traces, usage counters and scalars too."""
    with torch.device("meta"):
        model = Brain(BrainConfig(**BrainConfig.PRESETS[preset], as_published=True), 256)
    assert count_parameters(model).total == parameters


def published(**options) -> Brain:
    torch.manual_seed(0)
    return Brain(BrainConfig(**{**SMALL, "dim": 32, "as_published": True, **options}), VOCAB).eval()


def test_as_published_the_audit_fails_it():
    report = audit(published(), [33])
    failed = {finding.check for finding in report.failures}
    assert {"determinism", "train = eval", "split law"} <= failed
    assert "calling again" in report.summary()


@torch.no_grad()
def test_as_published_the_future_and_the_batch_leak_even_with_the_membranes_held():
    model, text = published(), tokens()
    saved = {name: value.clone() for name, value in model.state_dict().items()}

    def logits(text):
        model.load_state_dict(saved)
        return model(text)[0]

    assert torch.equal(logits(text), logits(text))
    future, neighbour = text.clone(), text.clone()
    future[:, 30:] = (future[:, 30:] + 1) % VOCAB
    neighbour[1] = (neighbour[1] + 1) % VOCAB
    assert (logits(text)[:, :30] - logits(future)[:, :30]).abs().amax(-1).min() > 0
    for neuron in model.published.spiking:                              # and a membrane near its threshold
        neuron.membrane.fill_(1.0)
    saved = {name: value.clone() for name, value in model.state_dict().items()}
    assert not torch.equal(logits(text)[0], logits(neighbour)[0])


@torch.no_grad()
def test_as_published_consciousness_shares_one_unit_of_weight_over_all_tokens():
    """A softmax over the sequence: what one token gains the others lose, whether they come before it or after."""
    layer = published().published.consciousness
    x = torch.rand(B, T, 32) + 1
    torch.testing.assert_close((layer(x) / x - 1).sum(1), torch.ones(B, 32))


def test_as_published_parts_learn_nothing_and_nothing_can_be_written():
    model = published().train()
    F.cross_entropy(model(tokens())[0].flatten(0, 1), tokens().flatten()).backward()
    dead = {name.rpartition(".")[2] for name, p in model.named_parameters() if p.grad is None}
    assert {"membrane", "trace", "usage", "importance", "slot_weights", "efficiency", "adaptation"} <= dead
    with pytest.raises(Unsupported, match="as published"):
        model.write(tokens(), tokens()[:, 0])
    with pytest.raises(Unsupported, match="as published"):
        model.local_update(tokens(), tokens(), 1e-3)


@pytest.mark.parametrize(("options", "words"), [
    ({"layers": 0}, "layers"), ({"slots": 0}, "slots"), ({"ramp": 0.0}, "ramp"), ({"longest": 0.5}, "longest"),
])
def test_a_config_that_cannot_be_built_is_refused(options, words):
    with pytest.raises(ValueError, match=words):
        BrainConfig(**options)


def test_the_hooks_name_what_exists():
    spec, = brain.harness_models()
    assert resolve(spec.target) is Brain and resolve(spec.config) is BrainConfig
    assert "import torch" not in Path(brain.__file__).with_name("config.py").read_text()
    path, = brain.harness_claims()
    assert len(parse_claims(path)) == 8
