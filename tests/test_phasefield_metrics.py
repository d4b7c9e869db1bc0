"""Manas, Buddhi, Viveka, Smriti: known values for known tensors, no dependence on size, movement with training."""

from __future__ import annotations

import math

import pytest
import torch
import torch.nn.functional as F
from harness.plugins.phasefield.config import PhaseFieldConfig
from harness.plugins.phasefield.metrics import buddhi, flipped, manas, smriti, viveka
from harness.plugins.phasefield.model import PhaseField
from harness.plugins.phasefield.phase import phase_norm
from harness.plugins.phasefield.published_phase import FlippingNorm
from torch import nn

VOCAB, B, T, D, S, M = 17, 2, 40, 6, 12, 10
SMALL = {"dim": D, "layers": 2, "window": 8, "context": 4, "slots": M, "concepts": 9, "state_dim": S,
         "banks": ("semantic", "context"), "memory": "associative", "episodic": True}
NAMES = {
    "manas_magnitude", "manas_entropy", "manas_activity", "buddhi_confidence", "buddhi_margin", "buddhi_entropy",
    "viveka_coherence", "viveka_energy", "viveka_stability", "smriti_sharpness", "smriti_hit_rate", "smriti_coverage",
    "routing_entropy",
}


def make(seed: int = 0, **options) -> PhaseField:
    torch.manual_seed(seed)
    return PhaseField(PhaseFieldConfig(**{**SMALL, **options}), VOCAB).double().eval()


def tokens(batch: int = B, length: int = T) -> torch.Tensor:
    return torch.randint(VOCAB, (batch, length), generator=torch.Generator().manual_seed(1))


def normal(*shape: int) -> torch.Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(2))


def told(model: PhaseField, text: torch.Tensor) -> dict[str, float]:
    model(text)
    return model.diagnostics()


def values(numbers: dict[str, torch.Tensor]) -> list[float]:
    return [float(value) for value in numbers.values()]


# Of known tensors

def test_manas_of_known_oscillators():
    """One of S oscillators swings; all swing alike; complex Gaussian noise, where |h|^2 is exponential."""
    one = torch.zeros(B, T, 2 * S)
    one[..., 3] = 2.0
    alike = torch.full((B, T, 2 * S), 0.5)
    assert values(manas([one, one], T)) == pytest.approx([2 / math.sqrt(S), 0, 1 / S])
    magnitude, entropy, _ = values(manas([alike], T))
    assert (magnitude, entropy) == pytest.approx((math.sqrt(0.5), 1))
    many = 4096
    euler = 0.5772156649
    assert values(manas([normal(1, 50, 2 * many)], 50)) == pytest.approx(
        [math.sqrt(2), 1 - (1 - euler) / math.log(many), math.exp(-1)], rel=0.01)
    assert values(manas([torch.zeros(B, T, 2 * S)], T)) == [0, 0, 0]
    assert manas([torch.cat([alike, one], dim=1)], T) == manas([alike], T)                       # padding is not read


def test_buddhi_of_known_predictions():
    sure = 100 * F.one_hot(tokens(), VOCAB).double()
    assert values(buddhi(sure)) == pytest.approx([1, 1, 0], abs=1e-9)
    assert values(buddhi(torch.zeros(B, T, VOCAB))) == pytest.approx([1 / VOCAB, 0, 1])
    two = torch.tensor([0.6, 0.4, *[1e-30] * (VOCAB - 2)]).log().expand(B, T, -1)
    assert values(buddhi(two)) == pytest.approx([0.6, 0.2, 0.6730117 / math.log(VOCAB)], abs=1e-5)


def test_viveka_of_known_banks():
    unit = F.normalize(normal(B, 1, 2 * D), dim=-1).expand(-1, T, -1) * math.sqrt(2 * D)
    turned = torch.cat([-unit[..., D:], unit[..., :D]], dim=-1)
    assert values(viveka([unit, -3 * unit])) == pytest.approx([1, 2, 1])                        # (0 + 4) / 2
    assert values(viveka([unit, turned])) == pytest.approx([0, 0, 1])
    sign = (-1.0) ** torch.arange(T)[:, None]
    assert values(viveka([unit * sign, turned])) == pytest.approx([0, 0, 0])                    # -1 and 1
    assert set(viveka([unit])) == {"viveka_energy", "viveka_stability"}
    assert set(viveka([unit[:, :1]])) == {"viveka_energy"} and viveka([]) == {}


def test_smriti_of_known_weights():
    uniform, first = torch.full((B, T, M), 1 / M), F.one_hot(torch.zeros(B, T, dtype=torch.int64), M).double()
    assert values(smriti(uniform)) == pytest.approx([0, 0, 1], abs=1e-6)
    assert values(smriti(first)) == pytest.approx([1, 1, 1 / M])
    everywhere = F.one_hot(torch.arange(T) % M, M).double()[None]
    assert values(smriti(everywhere)) == pytest.approx([1, 1, 1])
    mixed = torch.cat([uniform, first.float()], dim=1)
    assert values(smriti(mixed))[:2] == pytest.approx([0.5, 0.5])
    assert values(smriti(torch.ones(B, T, 1))) == [1, 1, 1]


def test_norms_that_subtract_a_mean_flip_rayleigh_channels():
    """|z| of Gaussian z is below its mean with probability 1 - exp(-pi / 4); scaling a token as a whole flips none."""
    z = normal(20, 2 * 512)
    share = flipped(z, FlippingNorm(512).double()(z)).mean().item()
    assert share == pytest.approx(1 - math.exp(-math.pi / 4), abs=0.01)
    assert flipped(z, phase_norm(z)).sum() == 0


# Of models

@pytest.mark.parametrize("as_published", [False, True])
def test_a_batch_twice_tells_the_same(as_published):
    model = make(as_published=as_published)
    once, twice = told(model, tokens()), told(model, tokens().repeat(2, 1))
    assert once == pytest.approx(twice, abs=1e-9)
    assert set(once) == NAMES | ({"norm_flips"} if as_published else set())


def test_a_longer_text_of_the_same_kind_tells_the_same():
    """Both long against the half-lives, which sampling and the start of a text leave within a few per cent."""
    model = make()
    short, long = told(model, tokens(4, 1000)), told(model, tokens(2, 8000))
    assert short == pytest.approx(long, rel=0.05, abs=0.01)


def published_manas_entropy(h: torch.Tensor) -> float:
    """Of oscillators (L, B, S, 2) after the last token."""
    p = torch.softmax(h.norm(dim=-1).flatten(), dim=0)
    return min(1.0, float(torch.special.entr(p).sum()) / 10)


@pytest.mark.parametrize("batch", [1, 2, 8, 64])
def test_the_published_manas_entropy_is_the_size_of_its_tensor(batch):
    for scale in (0.01, 0.1, 0.3):                                  # whatever the oscillators do
        h = scale * normal(4, batch, 128, 2)
        assert published_manas_entropy(h) == pytest.approx(min(1, math.log(4 * batch * 128) / 10), abs=0.005)
    assert published_manas_entropy(normal(8, 64, 512, 2)) == 1.0


@pytest.mark.parametrize(("options", "absent"), [
    ({"banks": ()}, {"viveka_coherence", "viveka_energy", "viveka_stability", "routing_entropy"}),
    ({"banks": ("context",)}, {"viveka_coherence", "routing_entropy"}),
    ({"coupler": "none"}, {"routing_entropy"}),
    ({"memory": "none"}, {"smriti_sharpness", "smriti_hit_rate", "smriti_coverage"}),
    ({"conv": 3, "output_gate": False, "nearest": 4}, set()),
], ids=["no banks", "one bank", "no coupler", "no memory", "parts"])
def test_what_a_model_has_not_got_has_no_number(options, absent):
    numbers = told(make(**options), tokens())
    assert set(numbers) == NAMES - absent and all(math.isfinite(value) for value in numbers.values())
    assert set(told(make(**options), tokens(1, 1))) == NAMES - absent - {"viveka_stability"}


def test_single_oscillators_slots_and_bytes_are_no_division_by_zero():
    numbers = told(make(state_dim=1, slots=1), tokens())
    assert numbers["manas_entropy"] == 0 and numbers["smriti_sharpness"] == 1 and set(numbers) == NAMES


def test_the_model_reads_what_the_numbers_are_of():
    """Oscillators, readings and weights are those that the forward pass goes on with."""
    model = make(output_gate=False)
    layer, memory = model.backbone.layers[1], model.memory
    x = normal(B, T, 2 * D)
    torch.testing.assert_close(layer(x)[0], layer.output(layer.oscillators(x)))
    torch.testing.assert_close(layer(x)[1]["h"], layer.oscillators(x)[:, -1])
    gated = make(conv=3).backbone.layers[0]
    torch.testing.assert_close(gated(x)[1]["h"], gated.oscillators(x)[:, -1])
    read = memory.weights(x) @ memory.values
    expected = x + memory.output(read / read.square().mean(-1, keepdim=True).sqrt())
    torch.testing.assert_close(memory(x)[0], expected, rtol=1e-4, atol=1e-4)


def test_numbers_move_with_training_and_differ_between_models():
    model, text = make(), tokens(4)
    before = told(model, text)
    assert before == told(make(), text) != told(make(seed=1), text)
    optimizer = torch.optim.AdamW(model.train().parameters(), lr=0.01)
    for _ in range(60):
        optimizer.zero_grad()
        F.cross_entropy(model(text)[0][:, :-1].flatten(0, 1), text[:, 1:].flatten()).backward()
        optimizer.step()
    after = told(model.eval(), text)
    still = {name for name in NAMES - {"smriti_hit_rate"} if abs(after[name] - before[name]) < 1e-3}
    assert not still and after["buddhi_confidence"] > before["buddhi_confidence"] + 0.1


def test_sharper_keys_raise_sharpness_and_hits():
    model, text = make(), tokens()
    soft = told(model, text)
    nn.init.constant_(model.memory.log_temperature, 6.0)
    sharp = told(model, text)
    assert sharp["smriti_sharpness"] > soft["smriti_sharpness"] + 0.3
    assert sharp["smriti_hit_rate"] > 0.95 > 0.8 > soft["smriti_hit_rate"]


def test_nothing_is_done_for_them_in_a_forward_pass():
    model, text = make(), tokens()
    assert model.diagnostics() == {}
    model.train()(text)
    assert model.diagnostics() == {}                                # of training there is nothing to tell
    _, state = model.eval()(text)
    model(text[:, :1], state)
    hooks = [module for module in model.modules() if module._forward_hooks or module._forward_pre_hooks]
    assert hooks == [] and model._text is text
    numbers = model.train().diagnostics()
    assert numbers == told(model.eval(), text) and [m for m in model.modules() if m._forward_hooks] == []
    model.train().diagnostics()
    assert model.training
