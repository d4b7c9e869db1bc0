"""Byte patches: one function however a text is cut, the formula, the published leak, the published counts."""

from __future__ import annotations

import pytest
import torch
from harness.plugins.phasefield import cases
from harness.plugins.phasefield.config import PhaseFieldConfig
from harness.plugins.phasefield.model import PhaseField
from harness.plugins.phasefield.patching import LOCAL
from harness.plugins.phasefield.phase import EPSILON
from laws import in_pieces

from harness.audit.auditor import audit
from harness.errors import UsageError
from harness.model import count_parameters
from harness.options import make_config
from harness.registry import load

VOCAB = 23
SMALL = {"dim": 6, "layers": 2, "window": 8, "context": 3, "slots": 10, "concepts": 9, "local": 4,
         "banks": ("semantic", "context"), "memory": "associative", "episodic": True}


def make(vocab=VOCAB, **options):
    torch.manual_seed(0)
    return PhaseField(PhaseFieldConfig(**{**SMALL, **options}), vocab).eval()


def tokens(length, batch=2, seed=0):
    return torch.randint(VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))


def to_complex(planes):
    return torch.complex(*planes.chunk(2, dim=-1))


@pytest.mark.parametrize("options", [{"patch": 4}, {"patch": 3, "banks": ("morphology", "context")}, {"patch": 2}])
def test_a_text_may_be_cut_at_every_byte_and_read_byte_by_byte(options):
    model, text = make(**options), tokens(13)
    with torch.no_grad():
        whole, _ = model(text)
        for cuts in (*([cut] for cut in range(1, 13)), range(1, 13)):
            pieces, state = in_pieces(model, text, cuts)
            torch.testing.assert_close(pieces, whole, rtol=1e-4, atol=1e-5)
    assert state["patches"]["pending"].shape == (2, 13 % options["patch"])


def test_the_logits_are_the_formula():
    """Patch by patch and byte by byte in complex numbers, from the latents that the model's own middle is given."""
    size, length = 4, 11
    model, text = make(patch=size).double(), tokens(length, batch=1)
    p = model.patches
    half = to_complex(p.table)[:, :p.local // 2]
    embedding = half / (half.abs().square().mean(1, keepdim=True) / 2 + EPSILON).sqrt()          # over both planes

    def matrix(layer, k, channels):
        return torch.complex(*layer.map.weight)[:, k * channels:(k + 1) * channels]

    def normed(z):
        return z / (z.abs().square().mean() / 2 + EPSILON).sqrt()

    def gated(packed_rows, z):
        return torch.nn.functional.silu(packed_rows) * z

    channels = p.local // 2
    with torch.no_grad():
        got, _ = model(text)
        latents = [sum(matrix(p.encoder, k, channels) @ embedding[text[0, size * j + k]] for k in range(size))
                   for j in range(length // size)]
        planes = torch.stack([torch.cat([z.real, z.imag]) for z in latents])[None]
        before = {"banks": [None, None], "backbone": None, "memory": None, "episodic": None}
        said = to_complex(model.think(planes, None, before)[0][0])
        for t in range(length):
            patch, offset = divmod(t + 1, size)
            context = normed(to_complex(p.start) if patch == 0 else said[patch - 1])
            c = torch.complex(*p.context.weight)[offset * p.local:(offset + 1) * p.local] @ context
            value = torch.zeros(2 * p.local, dtype=torch.complex128)
            gate = torch.zeros(2 * p.local, dtype=torch.float64)
            for k in range(LOCAL):
                if (place := t - LOCAL + 1 + k) >= 0:
                    e = embedding[text[0, place]]
                    value += matrix(p.reader, k, channels) @ e
                    rows = p.reader.map.rows
                    gate += rows[:, k * channels:(k + 1) * channels] @ e.real
                    gate += rows[:, (LOCAL + k) * channels:(LOCAL + k + 1) * channels] @ e.imag
            y = torch.complex(*p.down.weight) @ gated(gate, value) + c
            n = normed(y)
            inner = torch.complex(*p.mlp.up.weight) @ n
            y = y + torch.complex(*p.mlp.down.weight) @ gated(p.mlp.up.rows @ torch.cat([n.real, n.imag]), inner)
            n = normed(y) * p.scale
            torch.testing.assert_close(got[0, t], p.table @ torch.cat([n.real, n.imag]), rtol=1e-6, atol=1e-8)


def test_it_passes_the_audit_at_any_length_and_every_parameter_learns():
    report = audit(make(patch=3), list(range(1, 11)), jitter=0.02)
    assert report.passed, report.summary()
    assert not report.dead


def test_published_patches_leak_within_a_patch_and_only_there():
    model, text = make(patch=4, as_published=True, episodic=False), tokens(16)
    with torch.no_grad():
        before, _ = model(text)
        for t in (6, 7, 8):
            other = text.clone()
            other[:, t] = (other[:, t] + 1) % VOCAB
            changed = (model(other)[0] - before).abs().amax(dim=(0, 2)) > 1e-4
            assert changed[:t].nonzero().flatten().tolist() == list(range(t // 4 * 4, t))
    report = audit(model, [16])
    assert {"suffix perturbation", "split law"} <= {finding.check for finding in report.failures}


@pytest.mark.parametrize(("preset", "millions", "digits"), [
    ("tiny-byte", 0.76, 2), ("small-byte", 12.24, 2), ("medium-byte", 61.7, 1), ("large-byte", 163.0, 1)])
def test_published_byte_sizes_have_the_published_counts(preset, millions, digits):
    """qllm2 v4 over 259 tokens, without the tables and the head that patches never use."""
    with torch.device("meta"):
        model = PhaseField(PhaseFieldConfig(**PhaseFieldConfig.PRESETS[preset], as_published=True), 259)
    assert round(count_parameters(model).total / 1e6, digits) == millions


def test_the_published_encoder_and_decoder_are_the_counted_ones():
    with torch.device("meta"):
        model = PhaseField(PhaseFieldConfig(**PhaseFieldConfig.PRESETS["tiny-byte"], as_published=True), 259)
    assert sum(p.numel() for p in model.patches.parameters()) == 166_788


def test_embedding_parameters_and_cost_are_those_of_patches():
    model, plain = make(patch=4), make()
    assert [p.shape for p in model.embedding_parameters()] == [(VOCAB, 2 * SMALL["local"])]
    assert 0 < model.flops(1, 64, "prefill") < plain.flops(1, 64, "prefill")
    wide, wide_plain = (PhaseField(PhaseFieldConfig(dim=128, patch=patch), VOCAB) for patch in (4, 0))
    assert 3 < wide_plain.flops(1, 64, "train") / wide.flops(1, 64, "train") < 4


@pytest.mark.parametrize("options", [{"patch": "1"}, {"patch": "-4"}, {"local": "3", "patch": "4"}])
def test_impossible_patches_are_told(options):
    with pytest.raises(UsageError, match="patch must be 0 or at least 2, local even"):
        make_config(load().models["phasefield"], options)


def test_the_kernel_cases_step_both_forms():
    for make_cases in (cases.patch_cases, cases.published_patch_cases):
        bytes_, patches = make_cases("cpu", "tiny-byte", batch=1, length=8)
        assert (bytes_.role, patches.role, bytes_.group) == ("baseline", "implementation", patches.group)
        for case in (bytes_, patches):
            assert all(gradient.isfinite().all() for gradient in case.run() if gradient is not None)
