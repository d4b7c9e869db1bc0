"""The law over every registered model: shapes, a state that is carried, the audit on fresh weights."""

import importlib

import pytest
import torch
from laws import in_pieces
from torch.utils import _pytree as pytree

from harness.audit.auditor import audit
from harness.build import build
from harness.model import LanguageModel, count_parameters, state_bytes
from harness.options import config_class
from harness.registry import load
from harness.specs import missing

VOCAB, PARAMS, LENGTH = 37, 12_000, 19
MODELS = {name: spec for name, spec in load().models.items() if not missing(spec)}


@pytest.fixture(scope="module", params=MODELS)
def built(request):
    torch.set_num_threads(1)
    return MODELS[request.param], build(MODELS[request.param], {}, VOCAB, params=PARAMS)


def tokens(batch, length, seed=0):
    return torch.randint(VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))


def test_there_are_models():
    assert {"baseline", "ssm", "phasefield"} <= set(MODELS)


def test_logits_have_their_shape_and_are_finite(built):
    model = built[1].model.eval()
    with torch.no_grad():
        for batch, length in ((1, 1), (2, LENGTH)):
            logits, _ = model(tokens(batch, length))
            assert logits.shape == (batch, length, VOCAB)
            assert logits.isfinite().all()


@pytest.mark.parametrize("cut", [1, 2, LENGTH - 1])
def test_splitting_a_text_changes_no_logit(built, cut):
    model, text = built[1].model.eval(), tokens(2, LENGTH)
    with torch.no_grad():
        whole, _ = model(text)
        pieces, _ = in_pieces(model, text, [cut])
    torch.testing.assert_close(pieces, whole, rtol=1e-3, atol=2e-4)


def test_the_state_is_batch_first_and_used(built):
    """A continuation depends on what came before, so the split law above compares something."""
    model = built[1].model.eval()
    with torch.no_grad():
        _, state = model(tokens(3, LENGTH))
        _, other = model(tokens(3, LENGTH, seed=1))
        last = tokens(3, 1, seed=2)
        assert not torch.equal(model(last, state)[0], model(last, other)[0])
    leaves = [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, torch.Tensor)]
    assert {leaf.shape[0] for leaf in leaves} == {3}
    assert state_bytes(state) > 0


def test_fresh_weights_pass_the_audit(built):
    report = audit(built[1].model, [17], jitter=0.02)
    assert report.passed, report.summary()
    assert {f.check for f in report.findings} >= {
        "split law", "suffix perturbation", "batch independence", "determinism", "train = eval", "gradients"}


def test_the_audit_catches_a_leak_in_every_model(built):
    """The same model with one token of look-ahead."""
    class Leaky(LanguageModel):
        def __init__(self, honest):
            super().__init__(honest.config, honest.vocab_size)
            self.honest = honest

        def forward(self, tokens, state=None):
            return self.honest(torch.roll(tokens, -1, dims=1), state)

    report = audit(Leaky(built[1].model), [17])
    assert not report.passed
    assert any(f.check == "suffix perturbation" for f in report.failures)


def test_parameters_are_matched_or_the_nearest_is_stated(built):
    _, made = built
    assert made.count == count_parameters(made.model)
    assert abs(made.count.non_embedding / PARAMS - 1) <= 0.02 or "nearest reachable" in made.note


def test_published_sizes_and_defaults_can_be_made(built):
    kind = config_class(built[0])
    for values in ({}, *getattr(kind, "PRESETS", {}).values()):
        with torch.device("meta"):
            from harness.specs import resolve
            model = resolve(built[0].target)(kind(**values), VOCAB)
        assert count_parameters(model).non_embedding > 0


def test_training_lowers_the_loss_of_what_is_shown(built):
    from harness.bench.train import TrainStep

    model = build(built[0], {}, VOCAB, params=PARAMS, seed=1).model
    step, text = TrainStep(model.train(), lr=1e-2), tokens(4, LENGTH + 1, seed=3)
    losses = [step(text[:, :-1], text[:, 1:]).item() for _ in range(12)]
    assert losses[-1] < losses[0] - 0.3


@pytest.mark.parametrize("name", ["plugins", "suites", "plugins.blocks"])
def test_a_folder_of_the_checkout_is_no_package_by_its_own_name(name):
    """A module that is loaded under two names has two of every class."""
    with pytest.raises(ImportError, match=r"import harness\.(plugins|suites) in place of"):
        importlib.import_module(name)
