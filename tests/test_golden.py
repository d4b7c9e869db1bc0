"""What `as_published` computes is what the published code computed: tests/golden/make.py says what there is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from golden import views
from golden.recipe import CASES, RATE, draw, sketch, text
from harness.plugins.brain.config import BrainConfig
from harness.plugins.brain.model import Brain
from harness.plugins.phasefield.config import PhaseFieldConfig
from harness.plugins.phasefield.model import PhaseField
from safetensors.torch import load_file

GOLDEN = Path(__file__).with_name("golden")
TOLERANCE = 2e-6                    # of logits and losses, which are stored in float32; a step's sketches are not
WEIGHTS = {"coherence": 0.01, "coupling": 0.1}
FEW = ("dim", "layers", "slots", "concepts")


def phasefield(case):
    sizes = {name: case[name] for name in (*FEW, "context", "banks", "patch", "episodic", "energy")}
    return PhaseField(PhaseFieldConfig(**sizes, dropout=0.0, as_published=True), case["vocabulary"])


def brain(case):
    sizes = {name: case[name] for name in (*FEW, "concept_dim")}
    return Brain(BrainConfig(**sizes, as_published=True), case["vocabulary"])


SYSTEMS = {"v4": (phasefield, views.v4), "v3": (brain, views.v3)}


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
            weights[published] = case["size"] * draw(published, view.numel())
            view.copy_(weights[published].view(view.shape))
    tokens, cut = text(2, case["length"], case["vocabulary"]), case["cut"]
    with torch.no_grad():
        model.eval()
        close(model(tokens)[0], expected["eval"])
        if cut:
            close(model(tokens[:, cut:], model(tokens[:, :cut])[1])[0], expected["continued"])
    logits = model.train()(tokens)[0]
    close(logits, expected["train"])
    loss = torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    close(loss, expected["loss.ce"])
    auxiliary = model.auxiliary_losses()
    for key, value in auxiliary.items():
        close(value, {**WEIGHTS, **case}[key] * expected[f"loss.{key}"])
    if not case["step"]:
        return
    sum(auxiliary.values(), loss).backward()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.grad is not None:
                parameter -= RATE * parameter.grad
    moved = {published: sketch(published, view) for published, view in sorted(parameters(model).items())
             if not torch.equal(view.flatten(), weights[published])}
    close(torch.stack(list(moved.values())), expected["step"], 1e-8)
