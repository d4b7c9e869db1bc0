"""flash-linear-attention: its plain operators are oracles of our recurrences, its kernels run in Triton's interpreter
where there is no GPU, and a machine that can run neither is told so in one line."""

import pytest
import torch
from harness.plugins.interference.linear import linear_attention
from harness.plugins.scan import complex_scan, real_scan

from harness.audit.auditor import audit
from harness.build import build
from harness.errors import Unsupported, UsageError
from harness.options import make_config
from harness.registry import load

SPEC, VOCAB = load().models["fla"], 37


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture
def fla(monkeypatch):
    """The package, its kernels untuned: the interpreter has no clock to choose by."""
    pytest.importorskip("triton")
    autotuner = pytest.importorskip("triton.runtime.autotuner")
    monkeypatch.setattr(autotuner.Autotuner, "_bench", lambda *given, **settings: [1.0, 1.0, 1.0])
    return pytest.importorskip("fla")


def test_a_width_that_kernels_do_not_take_is_refused_in_one_line():
    with pytest.raises(UsageError, match=r"dim=100 must be a multiple of 16 \* heads, heads=4$"):
        make_config(SPEC, {"dim": "100"})


def test_without_a_gpu_it_is_unsupported_and_nothing_of_the_package_is_imported(monkeypatch):
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(Unsupported, match="needs a GPU, and there is none"):
        build(SPEC, {}, VOCAB)


def test_the_real_scan_is_the_recurrence_of_hgrn(fla):
    from fla.ops.hgrn.naive import naive_recurrent_hgrn

    gate, x, initial = normal(2, 19, 5).sigmoid(), normal(2, 19, 5, seed=1), normal(2, 5, seed=2)
    expected, last = naive_recurrent_hgrn(x, gate.log(), initial, output_final_state=True)
    found = real_scan(gate, x, initial)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(found[:, -1], last)


def test_the_complex_scan_is_gated_linear_attention_whose_keys_are_angles(fla):
    """h_t = sum_s (a_{s+1} … a_t) R^(t - s) u_s, and cos((t - s) w) = (cos tw, sin tw) · (cos sw, sin sw): a head with
    two keys a channel, of which the real and the imaginary part of u are the values."""
    from fla.ops.simple_gla.naive import naive_recurrent_simple_gla

    length, width = 19, 5
    decay, x, angle = normal(2, length, width).sigmoid(), normal(2, length, 2 * width, seed=1), normal(width, seed=2)
    turned = torch.arange(length)[:, None] * angle                                      # (T, N)
    cos, sin = turned.cos().expand(2, -1, -1), turned.sin().expand(2, -1, -1)
    values = torch.stack(x.chunk(2, dim=-1), dim=-1)                                    # (B, T, N, 2)

    def attended(q):
        keys = torch.stack([cos, sin], dim=-1)
        return naive_recurrent_simple_gla(q, keys, values, decay.log(), scale=1.0)[0].unbind(-1)

    of_cos, of_sin = attended(torch.stack([cos, sin], dim=-1)), attended(torch.stack([sin, -cos], dim=-1))
    expected = torch.cat([of_cos[0] - of_sin[1], of_cos[1] + of_sin[0]], dim=-1)
    torch.testing.assert_close(complex_scan(decay, angle.cos(), angle.sin(), x), expected, atol=1e-5, rtol=1e-5)


def test_interference_without_a_softmax_is_linear_attention(fla):
    from fla.ops.linear_attn.naive import naive_recurrent_linear_attn

    q, k, v = (normal(2, 3, 19, 4, seed=seed) for seed in range(3))                     # (B, H, T, ·)
    expected, last = naive_recurrent_linear_attn(*(z.transpose(1, 2) for z in (q, k, v)), scale=1.0,
                                                 output_final_state=True)
    found, state = linear_attention(q, k, v, chunk=8)
    torch.testing.assert_close(found.transpose(1, 2), expected, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(state, last, atol=1e-5, rtol=1e-5)


@pytest.mark.skipif(torch.cuda.is_available(), reason="compiled kernels have a test of their own")
@pytest.mark.parametrize("layer", ["gla", "mamba2"])
def test_in_the_interpreter_a_split_changes_nothing_and_no_later_token_is_seen(fla, layer):
    """What of the audit does not take minutes there."""
    model = build(SPEC, {"layer": layer, "dim": "32", "heads": "2", "layers": "1"}, VOCAB).model.eval()
    tokens = torch.randint(VOCAB, (2, 7), generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        whole, _ = model(tokens)
        first, state = model(tokens[:, :4])
        rest, again = (model(tokens[:, 4:], state)[0] for _ in range(2))
        changed, _ = model(torch.cat([tokens[:, :5], tokens[:, 5:].flip(1)], dim=1))
    torch.testing.assert_close(torch.cat([first, rest], dim=1), whole, atol=1e-5, rtol=1e-4)
    assert torch.equal(rest, again) and torch.equal(changed[:, :5], whole[:, :5])
    assert not torch.equal(changed[:, 5:], whole[:, 5:])
    assert bool(model.note()) is (layer == "mamba2")


def test_what_transformers_calls_by_a_name_stays_its_own(fla):
    from transformers import CONFIG_MAPPING

    with pytest.raises(UsageError, match="has no layer 'gated_delta_net'; it has gated_deltanet"):
        build(SPEC, {"layer": "gated_delta_net"}, VOCAB)
    assert CONFIG_MAPPING["mamba2"].__module__.startswith("transformers.")


@pytest.mark.cuda
@pytest.mark.parametrize("layer", ["gla", "delta_net", "gated_deltanet", "retnet", "hgrn2", "kda", "rwkv7", "mamba2"])
def test_its_kernels_pass_the_audit_on_a_gpu(fla, layer):
    if not torch.cuda.is_available():
        pytest.skip("needs a CUDA device")
    model = build(SPEC, {"layer": layer}, VOCAB, params=100_000, device="cuda").model
    report = audit(model, [16, 17, 40, 100], device="cuda", jitter=0.02)
    assert report.passed, report.summary()
