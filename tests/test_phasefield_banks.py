"""The banks by name: each against its formula, its features really act, its published form is the published formula."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from harness.plugins import phasefield
from harness.plugins.phasefield import published_banks as published
from harness.plugins.phasefield.banks import EmotionBank
from harness.plugins.phasefield.config import PhaseFieldConfig
from harness.plugins.phasefield.model import PhaseField
from harness.plugins.phasefield.parts import planes as component_planes
from harness.plugins.phasefield.text import PLACES, SCRIPTS, SHAPES, WINDOW, TextFeatures
from harness.plugins.phasefield.text_banks import LanguageBank, MorphologyBank, OrthographyBank
from laws import in_pieces
from torch.utils.flop_counter import FlopCounterMode

from harness.audit.auditor import audit
from harness.data.affixes import PREFIXES, SUFFIXES

B, T, D = 2, 41, 6
BANKS = ("semantic", "context", "language", "morphology", "orthography", "emotion")
SMALL = {"dim": D, "layers": 1, "window": 8, "context": 4, "slots": 10, "concepts": 9, "languages": 5,
         "memory": "associative", "episodic": True}
TEXT = ("Unhappily, the reworking of interactions was misunderstood; the councillors disagreed endlessly. "
        "Привет, мир! Überraschungen. 12 prefixes, subdivisions and postponements. ").encode() * 3
TOKENS = torch.tensor([256, *TEXT])


def config(**options) -> PhaseFieldConfig:
    return PhaseFieldConfig(**{**SMALL, **options})


def make(*banks: str, vocab_size: int = 257, **options) -> PhaseField:
    torch.manual_seed(0)
    return PhaseField(config(banks=banks, **options), vocab_size).double().eval()


def part(kind, **options):
    torch.manual_seed(0)
    made = kind(config(**options)).double()
    with torch.no_grad():
        for parameter in made.parameters():                         # zeros and ones hide what they multiply
            parameter += 0.3 * torch.randn_like(parameter)
    return made


def planes(length: int = T, seed: int = 2) -> torch.Tensor:
    return torch.randn(B, length, 2 * D, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def features(length: int = T) -> TextFeatures:
    draw = torch.Generator().manual_seed(3)
    sizes = len(SCRIPTS), len(SHAPES), PLACES, 1 + len(PREFIXES), 1 + len(SUFFIXES)
    return TextFeatures(*(torch.randint(size, (B, length), generator=draw) for size in sizes))


def to_complex(z: torch.Tensor) -> torch.Tensor:
    return torch.complex(*z.detach().chunk(2, dim=-1))


def to_planes(z: torch.Tensor) -> torch.Tensor:
    return torch.cat([z.real, z.imag], dim=-1)


def weight(module) -> torch.Tensor:
    return torch.complex(*module.weight.detach())


def finished(module, h: torch.Tensor) -> torch.Tensor:
    """h + mlp(norm(h)), as every bank ends."""
    normed = h / torch.sqrt((h.abs() ** 2).mean(-1, keepdim=True) / 2 + 1e-6)
    opened = F.silu(to_planes(normed) @ module.mlp.up.rows.T)
    return h + (opened * (normed @ weight(module.mlp.up).T)) @ weight(module.mlp.down).T


def close(actual, expected, tolerance=1e-9):
    torch.testing.assert_close(actual, expected, rtol=tolerance, atol=tolerance)


# In the model

@pytest.mark.parametrize("banks", [*((bank,) for bank in BANKS), BANKS], ids="+".join)
def test_the_audit_is_passed_without_a_warning(banks):
    torch.manual_seed(0)
    report = audit(PhaseField(config(banks=banks), 257), [1, 5, 40, 130], corpus_tokens=TOKENS, jitter=0.02)
    assert report.passed and not report.warnings, report.summary()


def test_the_audit_is_passed_where_tokens_are_many_bytes():
    vocabulary = [b"", *(TEXT[i:i + size] for size in (1, 2, 3, 5, 8, 40) for i in range(0, 60, size))]
    torch.manual_seed(0)
    model = PhaseField(config(banks=("language", "morphology", "orthography")), len(vocabulary))
    model.read_vocabulary(vocabulary)
    report = audit(model, [5, 60], jitter=0.02)
    assert report.passed, report.summary()


def test_cutting_a_text_anywhere_changes_nothing():
    text = TOKENS[:90].repeat(2, 1)
    text[1] = TOKENS[-90:]
    model = make(*BANKS)
    whole, end = model(text)
    assert end["text"].shape == (2, WINDOW) and end["banks"][2].shape == (2, 5)
    for cut in range(1, 90):
        pieces, last = in_pieces(model, text, [cut])
        close(pieces, whole)
        close(last, end)


@pytest.mark.parametrize(("bank", "ending", "acts"), [
    ("morphology", "ing", True), ("morphology", "жжж", False), ("language", "ing", True), ("language", "жжж", True),
    ("orthography", "ing", False), ("orthography", "жжж", True), ("semantic", "ing", False), ("context", "жжж", False),
])
def test_logits_depend_on_what_tokens_spell(bank, ending, acts):
    """The same ids, of a vocabulary that spells one token otherwise than "ong"; its place in the word stays."""
    model, text = make(bank, vocab_size=4), torch.tensor([[0, 1, 2, 3, 2]])
    logits = []
    for spelled in ("ong", ending, "ong"):
        model.read_vocabulary([b" walk", spelled.encode(), b".", b""])
        logits.append(model(text)[0][0])
    assert torch.equal(logits[0], logits[2])
    changed = (logits[0] - logits[1]).abs().amax(-1) > 1e-9
    assert not changed[0] and bool(changed[1:].all() if acts else not changed.any())


@pytest.mark.parametrize("bank", BANKS)
def test_stated_flops_are_those_of_the_counter_and_the_recurrence(bank):
    for published_too in (False, True):
        model = make(bank, episodic=False, as_published=published_too).float()
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(TOKENS[:T].repeat(B, 1))
        scan = B * T * 24 * model.config.oscillators
        assert model.flops(B, T, "prefill") == counter.get_total_flops() + scan


def test_a_component_returns_planes_and_what_it_carries():
    class Returns(torch.nn.Module):
        def forward(self, z, result):
            return result

    z = planes()
    assert component_planes(Returns(), z, (z, "state")) == (z, "state")
    for wrong in (z, (z,), (z, None, None), (z[:, 1:], None), (None, z), [z, None]):
        with pytest.raises(TypeError, match="Returns did not return planes"):
            component_planes(Returns(), z, wrong)


def test_a_model_without_such_banks_reads_no_text():
    model = make("semantic", "context")
    assert model.text is None and model(TOKENS[None])[1]["text"] is None
    model.read_vocabulary([b"x"] * 257)


# Language

def test_language_bank_mixes_the_gates_of_the_languages_so_far():
    bank, z, text = part(LanguageBank), planes(), features()
    sizes = len(SCRIPTS), len(SHAPES), PLACES, 1 + len(PREFIXES), 1 + len(SUFFIXES)
    tables = bank.evidence_table.split(sizes)
    keep, average, shares = torch.sigmoid(bank.retention), torch.zeros(B, 5, dtype=torch.float64), []
    for t in range(T):
        evidence = sum(table[ids[:, t]] for table, ids in zip(tables, text, strict=True))
        average = keep * average + (1 - keep) * evidence
        shares.append(torch.softmax(average, dim=-1))
    gates = torch.stack(shares, dim=1).to(torch.complex128) @ to_complex(bank.gates)
    reading, carried = bank(z, None, text)
    close(to_complex(reading), finished(bank, to_complex(z) @ weight(bank.map).T * gates), 1e-6)
    close(carried, average)


def test_no_language_is_dead():
    bank, text = part(LanguageBank), features()
    (bank(planes(), None, text)[0] * planes(seed=5)).sum().backward()
    assert bank.gates.grad.abs().amax(dim=-1).min() > 1e-6
    assert bank.evidence_table.grad.abs().amax(dim=0).min() > 1e-6
    assert bank.retention.grad.abs().min() > 1e-6


def test_the_estimate_follows_the_script_of_the_text():
    model = make("language")
    bank = model.banks[0]
    with torch.no_grad():
        bank.evidence_table.zero_()[SCRIPTS.index("cyrillic"), 1] = 30.0
    text = torch.tensor([[*("The quiet river " * 20 + "Тихая река " * 20 + "flows again " * 40).encode()]])
    share = bank.estimate(model.text(text)[0], None)[0][0]
    latin, cyrillic = 16 * 20, 16 * 20 + len("Тихая река ".encode()) * 20
    assert float(share[0, 1].detach()) == pytest.approx(0.2) and share[latin - 1, 1] < 0.3
    assert share[cyrillic - 1, 1] > 0.9 and share[-1, 1] < 0.3


def test_averages_start_between_16_and_256_tokens():
    torch.manual_seed(0)
    half_life = math.log(0.5) / torch.sigmoid(LanguageBank(config()).retention.detach()).log()
    assert float(half_life.min()) == pytest.approx(16, rel=1e-3)
    assert float(half_life.max()) == pytest.approx(256, rel=1e-3)


# Morphology

def test_affixes_turn_and_scale_a_token():
    bank, z, text = part(MorphologyBank), planes(), features()
    act = torch.exp(bank.size_table + 2j * torch.atan(bank.turn_table))
    act = torch.cat([torch.ones(1, D), act]).detach()
    h = to_complex(z) * act[text.prefix] * act[torch.where(text.suffix > 0, text.suffix + len(PREFIXES), 0)]
    close(to_complex(bank.inflect(z, text)), h)
    h = h + to_complex(bank.place_table)[text.place]
    close(to_complex(bank(z, None, text)[0]), finished(bank, h), 1e-6)


def test_no_affix_is_the_identity_and_any_affix_is_not():
    bank, z = part(MorphologyBank), planes()
    text = features()
    bare = text._replace(prefix=torch.zeros_like(text.prefix), suffix=torch.zeros_like(text.suffix))
    assert torch.equal(bank.inflect(z, bare), z)
    for affix in ({"prefix": bare.prefix + 7}, {"suffix": bare.suffix + 7}):
        inflected = bare._replace(**affix)
        assert (bank.inflect(z, inflected) - z).abs().amax(dim=-1).min() > 1e-3
        assert (bank(z, None, inflected)[0] - bank(z, None, bare)[0]).abs().amax(dim=-1).min() > 1e-3
    assert not torch.allclose(bank.inflect(z, bare._replace(prefix=bare.prefix + 7)),
                              bank.inflect(z, bare._replace(suffix=bare.suffix + 7)))


# Orthography and emotion

def test_orthography_bank_adds_script_and_shape():
    bank, z, text = part(OrthographyBank), planes(), features()
    h = to_complex(z) + to_complex(bank.script_table)[text.script] + to_complex(bank.shape_table)[text.shape]
    reading = bank(z, None, text)[0]
    close(to_complex(reading), finished(bank, h), 1e-6)
    for other in ({"script": (text.script + 1) % len(SCRIPTS)}, {"shape": (text.shape + 1) % len(SHAPES)}):
        assert (bank(z, None, text._replace(**other))[0] - reading).abs().amax(dim=-1).min() > 1e-3


def test_emotion_bank_adds_a_mixture_of_eight_vectors():
    bank, z = part(EmotionBank), planes()
    normed = z / torch.sqrt(z.square().mean(-1, keepdim=True) + 1e-6)
    share = torch.softmax(normed @ bank.detector.T, dim=-1)
    assert share.shape[-1] == 8
    close(to_complex(bank(z)[0]), finished(bank, to_complex(z) + to_complex(share @ bank.emotions)), 1e-6)


# As published: formulas in complex numbers, every dropout 0

def flipping(norm, z: torch.Tensor) -> torch.Tensor:
    size = torch.sqrt(z.abs() ** 2 + 1e-8)
    centred = size - size.mean(-1, keepdim=True)
    return z / size * norm.weight * centred / torch.sqrt(centred.square().mean(-1, keepdim=True) + 1e-6)


def mapped(module, z: torch.Tensor) -> torch.Tensor:
    return z @ weight(module).T + torch.complex(*module.bias.chunk(2))


def last(bank, h: torch.Tensor) -> torch.Tensor:
    norm, linear = bank.output
    return mapped(linear, flipping(norm, h))


def mixture(z, detector, vectors) -> torch.Tensor:
    return torch.softmax(mapped(detector, z).abs(), dim=-1).to(z.dtype) @ to_complex(vectors)


def published_language(bank, z):
    h = z * to_complex(bank.gate_table[0])
    h = mapped(bank.universal, h) + 0.5 * mapped(bank.own, h)
    for norm, linear in bank.layers:
        u = mapped(linear, flipping(norm, h))
        h = h + 0.1 * F.gelu(u.real) * u
    return last(bank, h)


def published_morphology(bank, z):
    h = z + 0.1 * mixture(z, bank.detector, bank.patterns)
    for (norm, linear), half_tangent in zip(bank.layers, bank.turn_table, strict=True):
        u = mapped(linear, flipping(norm, h) * torch.exp(2j * torch.atan(half_tangent)))
        u = torch.complex(F.gelu(u.real), u.imag * torch.sigmoid(u.real))
        h = h + 0.1 * (u.real * u + u)
    return last(bank, h)


def published_orthography(bank, z):
    h = z + 0.1 * mixture(z, bank.shape_detector, bank.shapes) + 0.05 * mixture(z, bank.script_detector, bank.scripts)
    for (norm, linear), gate in zip(bank.layers, bank.gates, strict=True):
        u = mapped(linear, flipping(norm, h))
        u = u * torch.sigmoid(gate(to_planes(u)))
        h = h + 0.1 * (u.real * u + u)
    return last(bank, h)


def published_emotion(bank, z):
    share = torch.softmax(mapped(bank.detector, z).real, dim=-1).to(z.dtype)
    return last(bank, z + 0.1 * share @ to_complex(bank.emotions))


PUBLISHED = {
    "language": (published_language, {"unspoken": 15 * 2 * D * (D + 1)}),
    "morphology": (published_morphology, {"prefix_proj": 2 * D, "suffix_proj": 2 * D}),
    "orthography": (published_orthography, {"position_encoding": 2 * D}), "emotion": (published_emotion, {}),
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_banks_are_their_formula_in_training_too(name):
    bank, z = part(published.BANKS[name], dropout=0.0, as_published=True), planes()
    expected = PUBLISHED[name][0](bank, to_complex(z))
    for mode in (bank.train(), bank.eval()):
        reading, state = mode(z)
        close(to_complex(reading), expected, 1e-5)
        assert state is None


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_banks_have_their_dead_parameters(name):
    model = make(name, dropout=0.0, as_published=True)
    model(TOKENS[None, :50])[0].logsumexp(-1).sum().backward()
    dead: dict[str, int] = {}
    for parameter_name, parameter in model.banks.named_parameters():
        if parameter.grad is None or not parameter.grad.any():
            owner = parameter_name.split(".")[1]
            dead[owner] = dead.get(owner, 0) + parameter.numel()
    assert dead == PUBLISHED[name][1]
    assert model.text is None


def test_published_dropout_acts_where_it_did():
    for name, acts in {"language": False, "morphology": True, "orthography": True, "emotion": False}.items():
        bank, z = part(published.BANKS[name], dropout=0.5, as_published=True), planes()
        assert torch.equal(bank.train()(z)[0], bank.eval()(z)[0]) != acts


@pytest.mark.parametrize(("name", "count"), [
    ("language", 20 * 2 * (256 * 256 + 256) + 16 * 2 * 256 + 3 * 256),
    ("emotion", 2 * (256 * 256 + 256) + 256 + 8 * 2 * 256 + 2 * (256 * 8 + 8)),
    ("morphology", 3 * 2 * (256 * 256 + 256) + 5 * 256 + 128 * 2 * 256 + 2 * (256 * 128 + 128) + 2 * 2 * 256),
])
def test_published_banks_have_the_published_counts(name, count):
    with torch.device("meta"):
        bank = published.BANKS[name](PhaseFieldConfig(dim=256, as_published=True))
    assert sum(p.numel() for p in bank.parameters()) == count


def test_every_bank_has_both_forms():
    registered = [spec.name for spec in phasefield.harness_components() if spec.place == "bank"]
    assert sorted(registered) == sorted(BANKS) == sorted(published.BANKS)
    assert PhaseFieldConfig.PRESETS["large"]["banks"] == ("semantic", "context", "language", "emotion")
