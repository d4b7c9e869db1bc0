"""Which backend a scan takes, and that a model is the same function whichever it is."""

import warnings

import pytest
import torch
from harness.plugins import scan
from harness.plugins.phasefield.config import PhaseFieldConfig
from harness.plugins.phasefield.model import PhaseField
from harness.plugins.ssm.config import StateSpaceConfig
from harness.plugins.ssm.model import StateSpace
from recurrences import DEVICE, small_chunks

VOCAB = 7


@pytest.fixture
def triton(monkeypatch):
    """Whether Triton and numba are there, as the test says."""
    def there(found):
        monkeypatch.setattr(scan, "_available", lambda device: device in ("cpu", "cuda") and found)

    return there


def test_a_gpu_walks_a_short_text_and_does_chunks_of_a_long_one(triton):
    triton(True)
    assert scan.runnable("cuda") == ["portable", "cuda", "chunked"]
    assert {length: scan._fastest("cuda", length) for length in (1, scan.WALKED, scan.WALKED + 1)} == {
        1: "cuda", scan.WALKED: "cuda", scan.WALKED + 1: "chunked"}


def test_without_triton_a_gpu_is_told_once_why_it_is_slow(triton):
    triton(False)
    with pytest.warns(RuntimeWarning, match="the scan launches a kernel a step: a faster one needs Triton"):
        assert scan._fastest("cuda", 4096) == "portable"
    assert scan.absent("chunked", "cuda").startswith("the chunked backend of the scan needs Triton")
    with pytest.raises(RuntimeError, match="chunked backend of the scan needs Triton"):
        scan.real_scan(torch.rand(1, 2, 3), torch.rand(1, 2, 3), backend="chunked")


def test_on_a_cpu_a_long_text_takes_what_it_took_to_the_bit():
    """Also where Triton is: its kernels are for tensors of a GPU."""
    torch.manual_seed(0)
    length = 2 * scan.WALKED
    decay, x, packed = torch.rand(1, length, 8), torch.randn(1, length, 8), torch.randn(1, length, 24)
    named = scan.runnable("cpu")[-1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert scan._backend("auto", x).__name__ == f"harness.plugins.scan.{named}"
        assert scan._backend("auto", x.double()) is scan.portable
        assert torch.equal(scan.real_scan(decay, x), scan.real_scan(decay, x, backend=named))
        for one, other in zip(scan.gated_real_scan(packed, decay[0, 0]),
                              scan.gated_real_scan(packed, decay[0, 0], backend=named), strict=True):
            assert torch.equal(one, other)


def state_space():
    return StateSpace(StateSpaceConfig(dim=8, layers=1, state=5), VOCAB)


def phase_field(**options):
    return PhaseField(PhaseFieldConfig(dim=4, layers=1, state_dim=5, **options), VOCAB)


@pytest.mark.parametrize("make", [state_space, phase_field, lambda: phase_field(output_gate=False)],
                         ids=["gated real", "gated complex", "complex"])
def test_a_model_has_the_logits_and_gradients_of_the_loop_through_the_operators(make, monkeypatch):
    """A text in two calls, so that a state is handed over; the loop is PyTorch's, step by step."""
    pytest.importorskip("triton", reason="Triton is not installed: it comes with PyTorch's CUDA builds")
    small_chunks(monkeypatch)
    torch.manual_seed(0)
    model, text = make().to(DEVICE), torch.randint(VOCAB, (1, 9), device=DEVICE)
    taken = set()

    def run(backend):
        choose = scan._backend
        with monkeypatch.context() as context:
            context.setattr(scan, "_backend", lambda name, x: taken.add(backend) or choose(backend, x))
            first, state = model(text[:, :6])
            second, _ = model(text[:, 6:], state)
        logits = torch.cat([first, second], 1)
        return logits, *torch.autograd.grad(logits.square().sum(), list(model.parameters()))

    for ours, loop in zip(run("chunked"), run("portable"), strict=True):
        assert (ours - loop).abs().max() <= 1e-5 * loop.abs().max() + 1e-7
    assert taken == {"chunked", "portable"}
