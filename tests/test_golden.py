"""What `as_published` computes is what the published code computed: tests/golden/make.py says what there is."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from golden import views
from golden.recipe import CASES, KEPT, RATE, WAVES, draw, random_by_formula, sketch, text
from harness.plugins.brain.config import BrainConfig
from harness.plugins.brain.model import Brain
from harness.plugins.interference import attention, wave
from harness.plugins.interference.reference import causal_softmax, materialised, materialised_cosine
from harness.plugins.phasefield.config import PhaseFieldConfig
from harness.plugins.phasefield.model import PhaseField
from harness.plugins.phaserotator.config import PhaseRotatorConfig
from harness.plugins.phaserotator.model import PhaseRotatorTransformer
from harness.plugins.superposition.config import SuperpositionConfig
from harness.plugins.superposition.model import Superposition
from harness.plugins.wave.as_published import PublishedWaveHeads
from harness.plugins.wave.config import WaveConfig
from safetensors.torch import load_file

GOLDEN = Path(__file__).with_name("golden")
TOLERANCE = 2e-6                    # of logits and losses, which are stored in float32; a step's sketches are not
WEIGHTS = {"coherence": 0.01, "coupling": 0.1}
FEW = ("dim", "layers", "slots", "concepts")


def phasefield(case):
    sizes = {name: case[name] for name in (*FEW, "context", "banks", "patch", "episodic", "energy", "dropout")}
    return PhaseField(PhaseFieldConfig(**sizes, as_published=True), case["vocabulary"])


def brain(case):
    sizes = {name: case[name] for name in (*FEW, "concept_dim")}
    return Brain(BrainConfig(**sizes, as_published=True), case["vocabulary"])


def superposition(case):
    sizes = {name: case[name] for name in (
        "dim", "layers", "heads", "phases", "concepts", "concept_dim", "positions", "energy", "coherence", "concept")}
    return Superposition(SuperpositionConfig(**sizes, dropout=0.0, as_published=True), case["vocabulary"])


def rotator(case):
    sizes = {name: case[name] for name in (
        "dim", "layers", "heads", "positions", "global_tokens", "lora_rank", "lora_alpha", "coherence")}
    return PhaseRotatorTransformer(PhaseRotatorConfig(**sizes, as_published=True), case["vocabulary"])


SYSTEMS = {"v4": (phasefield, views.v4), "v3": (brain, views.v3), "v2": (superposition, views.v2),
           "v2old": (rotator, views.v2old)}


@pytest.fixture(autouse=True)
def float64():
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def close(actual, expected, tolerance=TOLERANCE):
    torch.testing.assert_close(actual.double(), expected.double(), rtol=tolerance, atol=tolerance)


@pytest.mark.parametrize(("system", "name"), [(system, name) for system, cases in CASES.items() for name in cases])
def test_a_published_form_is_the_published_code(system, name):
    case = CASES[system][name]
    expected = {key.partition("/")[2]: value for key, value in load_file(GOLDEN / f"{system}.safetensors").items()
                if key.partition("/")[0] == name}
    make, parameters = SYSTEMS[system]
    model = make(case).double()
    weights = {}
    with torch.no_grad():
        for published, view in sorted(parameters(model).items()):
            if published in KEPT:
                continue
            weights[published] = case["size"] * draw(published, view.numel())
            view.copy_(weights[published].view(view.shape))
    tokens, cut = text(2, case["length"], case["vocabulary"]), case["cut"]
    with torch.no_grad():
        model.eval()
        close(model(tokens)[0], expected["eval"])
        if cut:
            close(model(tokens[:, cut:], model(tokens[:, :cut])[1])[0], expected["continued"])
    with random_by_formula():
        logits = model.train()(tokens)[0]
        auxiliary = model.auxiliary_losses()
    close(logits, expected["train"])
    cross_entropy = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    close(cross_entropy, expected["loss.ce"])
    loss = sum(auxiliary.values(), cross_entropy)
    close(loss, expected["loss"])
    for key, value in auxiliary.items():
        close(value, {**WEIGHTS, **case}[key] * expected[f"loss.{key}"])
    if not case["step"]:
        return
    loss.backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= RATE * parameter.grad
    after = parameters(model)
    moved = {published: sketch(published, after[published]) for published, weight in weights.items()
             if not torch.equal(after[published].flatten(), weight)}
    close(torch.stack(list(moved.values())), expected["step"], 1e-8)


@pytest.fixture
def written():
    """What the code in the published texts gave, and the queries and keys (B, H, T, d) that it was given."""
    return load_file(GOLDEN / "texts.safetensors"), [3 * draw(name, *WAVES) for name in ("queries", "keys")]


def test_scores_of_phases_are_the_interference_as_it_is_written(written):
    """Ours, whose phases are golden waves, and the array of all differences that the kernels suite measures."""
    values, (q, k) = written
    eye, scale = torch.eye(WAVES[2]).expand(*WAVES[:2], -1, -1), WAVES[3] ** 0.5
    expected = causal_softmax(values["modulus"] / scale)
    close(attention(wave(None, q) / scale, wave(None, k), eye, "modulus")[:, 0], expected)
    close(materialised(q, k, eye)[:, 0], expected)


def test_waves_and_their_scores_are_those_that_are_written(written):
    values, (q, k) = written
    heads = PublishedWaveHeads(WaveConfig(as_published=True), WAVES[1])
    close(heads.state(q), wave(values["amplitude"], values["phase"]))
    close(heads.state(q) @ heads.state(k).mT, values["real"])
    eye, k_amplitude = torch.eye(WAVES[2]).expand(*WAVES[:2], -1, -1), k.sigmoid() / k.sigmoid().norm()
    close(materialised_cosine(values["amplitude"], values["phase"], k_amplitude, math.pi * k.tanh(), eye),
          causal_softmax(values["real"]))
