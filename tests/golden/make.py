"""Makes the golden values anew: `python make.py CLONE`, CLONE a git clone of github.com/gowrav-vishwakarma/qllm2.

It runs the published code at the commits below, unpacked into a temporary folder, in float64, with the weights and
texts of recipe.py, and writes one file for each system beside itself. Of every case there are
- `eval`, `train`: logits in evaluation and in training, without dropout but where a case has it; `continued`: those
  behind `cut`, from the state that was carried;
- `loss.NAME`: the published losses, in training, and `loss`, their published sum; `step`: after one step of gradient
  descent on it, a sketch of every parameter that has changed, in the order of their names.
Calls come in this order: some of the published models change when they are called.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from recipe import CASES, KEPT, RATE, draw, random_by_formula, sketch, text
from safetensors.torch import save_file
from torch import Tensor, nn

HERE = Path(__file__).parent
HEAD = "aa596dc822344f2cf5a55922a0891e4df9f973de"       # v2, v3 and v4
OLD = "e03627df743a0817dff15d5f2670578635c111b0"        # the v2 before, with the phase rotator
Run = tuple[nn.Module, Callable[..., Any], Callable[[Tensor], tuple[Tensor, dict[str, Tensor], Tensor]]]


def v4(case: dict[str, Any]) -> Run:
    config = importlib.import_module("v4.core.config")
    dim, quiet = case["dim"], {"dropout": case["dropout"]}
    own = {"semantic": {"num_concepts": case["concepts"]}, "context": {"window_size": case["context"]}}
    banks = {name: config.BankConfig(name, dim, {**quiet, **own.get(name, {})}) for name in case["banks"]}
    patching = config.BytePatchingConfig(enabled=bool(case["patch"]), patch_size=case["patch"] or 4)
    model = importlib.import_module("v4.model").QuantumPhaseFieldLLM(config.V4Config(
        vocab_size=case["vocabulary"], dim=dim, banks=banks, coupler=config.CouplerConfig(params=quiet),
        tokenizer=config.TokenizerConfig("byte", root_vocab_size=5, prefix_vocab_size=5, suffix_vocab_size=5,
                                         byte_patching=patching),
        backbone=config.BackboneConfig(dim=dim, state_dim=2 * dim, num_layers=case["layers"], params=quiet),
        memory=config.MemoryConfig(num_slots=case["slots"], dim=dim, params=quiet),
        episodic=config.EpisodicConfig(enabled=case["episodic"]),
    ))
    objectives = importlib.import_module("v4.objectives")
    named = {"ce": objectives.CrossEntropyObjective(), "coherence": objectives.CoherenceObjective(0.01),
             "coupling": objectives.CouplingObjective(0.1), "energy": objectives.EnergyObjective(case["energy"])}

    def call(tokens: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        output = model(tokens, backbone_state=state)
        return output.logits, output.backbone_state

    def train(tokens: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        output = model(tokens)
        given = {"logits": output.logits, "phase_states": output.phase_states}
        losses = {name: objective(given, {"token_ids": tokens}, {"coupling_loss": output.coupling_loss}).loss
                  for name, objective in named.items()}
        return output.logits, losses, sum(named[name].weight * loss for name, loss in losses.items())

    return model, call, train


def v3(case: dict[str, Any]) -> Run:
    published = importlib.import_module("v3.brain_inspired_llm")
    model = published.BrainInspiredLLM(case["vocabulary"], case["dim"], case["layers"], case["slots"],
                                       case["concept_dim"], case["concepts"])

    def train(tokens: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        logits = model(tokens, training_step=0)
        loss = next_token(logits, tokens)
        return logits, {"ce": loss}, loss

    return model, lambda tokens: (model(tokens), None), train


def v2(case: dict[str, Any]) -> Run:
    """The model beside the objective of its trainer without the semantic term."""
    published = importlib.import_module("quantum_llm_model")
    model = published.HardwareOptimizedQuantumLLM(
        case["vocabulary"], case["dim"], case["layers"], case["heads"], case["phases"], case["positions"], False,
        case["concept_dim"])
    model.quantum_layers = nn.ModuleList(
        published.OptimizedDynamicPhaseProcessor(case["dim"], 2 * case["dim"]) for _ in range(case["layers"]))
    for module in model.modules():
        if isinstance(module, nn.Dropout):
            module.p = 0.0
        if isinstance(module, nn.MultiheadAttention):
            module.dropout = 0.0
    trainer = importlib.import_module("energy_trainer").EnergyBasedTrainer(model)

    def train(tokens: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        logits = model(tokens, training_step=0)
        phases = model.get_phase_representation(tokens)
        losses = {"ce": next_token(logits, tokens), "energy": -trainer._calculate_enhanced_energy(phases).mean(),
                  "coherence": -trainer._calculate_enhanced_coherence(phases).mean(),
                  "concept": trainer._calculate_concept_loss(tokens, tokens)}
        return logits, losses, sum(case.get(name, 1) * loss for name, loss in losses.items())

    return model, lambda tokens: (model(tokens), None), train


def v2old(case: dict[str, Any]) -> Run:
    model = importlib.import_module("quantum_llm_model").QuantumInspiredLLM(
        case["vocabulary"], case["dim"], case["layers"], case["heads"], case["positions"], case["global_tokens"],
        case["lora_rank"], case["lora_alpha"])

    def train(tokens: Tensor) -> tuple[Tensor, dict[str, Tensor], Tensor]:
        logits = model(tokens)
        losses = {"ce": next_token(logits, tokens), "coherence": model.phase_coherence_loss()}
        return logits, losses, losses["ce"] + case["coherence"] * losses["coherence"]

    return model, lambda tokens: (model(tokens), None), train


def next_token(logits: Tensor, tokens: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())


SYSTEMS = {                                             # commit, what of it, where its modules are, what runs them
    "v4": (HEAD, "v4", "", v4), "v3": (HEAD, "v3", "", v3), "v2": (HEAD, "v2", "v2", v2),
    "v2old": (OLD, ".", "", v2old),
}


def record(case: dict[str, Any], run: Run) -> dict[str, Tensor]:
    model, call, train = run
    parameters = dict(sorted(model.double().named_parameters()))
    weights = {name: case["size"] * draw(name, *parameter.shape) for name, parameter in parameters.items()
               if name not in KEPT}
    with torch.no_grad():
        for name, weight in weights.items():
            parameters[name].copy_(weight)
    tokens, cut, found = text(2, case["length"], case["vocabulary"]), case["cut"], {}
    with torch.no_grad():
        model.eval()
        found["eval"] = call(tokens)[0]
        if cut:
            found["continued"] = call(tokens[:, cut:], call(tokens[:, :cut])[1])[0]
    model.train()
    with random_by_formula():
        found["train"], losses, found["loss"] = train(tokens)
    found |= {f"loss.{name}": torch.as_tensor(loss) for name, loss in losses.items()}
    stored = {name: value.detach().float() for name, value in found.items()}
    if case["step"]:
        found["loss"].backward()
        with torch.no_grad():
            for parameter in parameters.values():
                if parameter.grad is not None:
                    parameter -= RATE * parameter.grad
        stored["step"] = torch.stack([sketch(name, parameters[name]) for name, weight in weights.items()
                                      if not torch.equal(parameters[name], weight)])
    return stored


def main(clone: str) -> None:
    torch.set_default_dtype(torch.float64)
    sys.modules.setdefault("psutil", ModuleType("psutil"))      # imported by v3 for nothing
    for system, (commit, part, modules, build) in SYSTEMS.items():
        with unpacked(clone, commit, part, modules):
            found = {f"{name}/{key}": value for name, case in CASES[system].items()
                     for key, value in record(case, build(case)).items()}
        save_file(found, HERE / f"{system}.safetensors", {"commit": commit})


@contextmanager
def unpacked(clone: str, commit: str, part: str, modules: str) -> Iterator[None]:
    """Meanwhile the modules of a commit can be imported."""
    before = set(sys.modules)
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(["git", "-C", clone, "archive", commit, part], check=True, capture_output=True)
        subprocess.run(["tar", "-x", "-C", folder], input=archive.stdout, check=True)
        sys.path.insert(0, str(Path(folder, modules)))
        yield
        sys.path.pop(0)
    for name in set(sys.modules) - before:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(folder):
            del sys.modules[name]


if __name__ == "__main__":
    main(*sys.argv[1:])
