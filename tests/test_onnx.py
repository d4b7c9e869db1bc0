"""Weights as an ONNX graph: whoever runs it gets our logits; a model without a graph is one line that says why."""

from importlib.util import find_spec

import pytest
import torch

from harness import LanguageModel
from harness.bench.restored import Restored, restore
from harness.bridges.onnx import export_onnx
from harness.checkpoint import open_checkpoint
from harness.commands import export as command_module
from harness.errors import Unsupported
from harness.registry import load

needed = pytest.mark.skipif(not find_spec("onnxscript"), reason="onnxscript is not installed")


@pytest.fixture(scope="module")
def restored(trained):
    return restore(load(), open_checkpoint(str(trained)))


@needed
def test_the_graph_gives_our_logits_at_any_length(restored, tmp_path):
    reference = pytest.importorskip("onnx.reference")
    told = export_onnx(restored, tmp_path)
    graph = reference.ReferenceEvaluator(str(tmp_path / "model.onnx"))
    for rows, length in ((2, 24), (1, 37)):
        tokens = torch.randint(257, (rows, length), generator=torch.Generator().manual_seed(length))
        found, = graph.run(None, {"tokens": tokens.numpy()})
        torch.testing.assert_close(torch.from_numpy(found), restored.model(tokens)[0].detach(), atol=1e-4, rtol=0)
    assert told.startswith("model.onnx, ")


class Outside(LanguageModel):
    """Of an operator that ONNX has not."""

    def __init__(self):
        super().__init__(None, 257)
        self.table = torch.nn.Embedding(257, 257)

    def forward(self, tokens, state=None):
        return torch.special.bessel_j0(self.table(tokens)), None


@needed
def test_a_model_without_a_graph_is_one_line_that_names_the_operator(restored, tmp_path):
    broken = Restored(restored.checkpoint, restored.spec, restored.tokenizer, Outside())
    with pytest.raises(Unsupported, match=r"baseline has no ONNX graph: .*bessel_j0") as found:
        export_onnx(broken, tmp_path)
    assert "\n" not in str(found.value)


def test_without_the_package_a_line_names_the_extra(trained, invoke, monkeypatch, tmp_path):
    monkeypatch.setattr(command_module, "find_spec", lambda name: None)
    assert invoke("export", trained, "--format", "onnx", "-o", tmp_path / "new") == (
        3, "", "harness: --format onnx needs the package onnxscript: pip install 'qllm-harness[onnx]'\n")
