"""Weights as a folder of transformers: Auto classes read it, its logits are ours to the bit, its generation too."""

import json
import shutil
from importlib.util import find_spec

import pytest
import torch

from harness.bench.generate import Sampling, generate
from harness.bench.restored import restore
from harness.checkpoint import open_checkpoint
from harness.commands import export as command_module
from harness.errors import FileError, UsageError
from harness.registry import load

needed = pytest.mark.skipif(not find_spec("transformers"), reason="transformers is not installed")
PROMPT = [256, *b"alpha beta"]


@pytest.fixture(scope="module")
def restored(trained):
    return restore(load(), open_checkpoint(str(trained)))


@pytest.fixture(scope="module")
def folder(restored, tmp_path_factory):
    from harness.bridges.hf import export_hf

    folder = tmp_path_factory.mktemp("hf")
    export_hf(restored, folder)
    return folder


def read(folder, **arguments):
    from transformers import AutoModelForCausalLM

    import harness.bridges.hf  # noqa: F401

    return AutoModelForCausalLM.from_pretrained(str(folder), **arguments)


@needed
def test_logits_are_ours_to_the_bit_and_come_with_the_state(restored, folder, tmp_path):
    tokens = torch.randint(257, (2, 40), generator=torch.Generator().manual_seed(0))
    model = read(folder)
    with torch.no_grad():
        ours, _ = restored.model(tokens)
        assert torch.equal(model(tokens).logits, ours)
        begun = model(tokens[:, :25])
        torch.testing.assert_close(model(tokens[:, 25:], cache=begun.cache).logits, ours[:, 25:], atol=1e-4, rtol=0)
        assert model(tokens, use_cache=False).cache is None
        loss = model(tokens, labels=tokens).loss
    expected = torch.nn.functional.cross_entropy(ours[:, :-1].flatten(0, 1), tokens[:, 1:].flatten())
    assert loss.item() == pytest.approx(expected.item())
    model.save_pretrained(tmp_path / "again")
    with torch.no_grad():
        assert torch.equal(read(tmp_path / "again")(tokens).logits, ours)


@needed
def test_generation_is_ours_and_carries_the_state(restored, folder, monkeypatch):
    model, lengths = read(folder), []
    ours = list(generate(restored.model, PROMPT, 12, Sampling(temperature=0)))
    forward = model.model.forward
    monkeypatch.setattr(
        model.model, "forward", lambda tokens, state=None: lengths.append(tokens.shape[1]) or forward(tokens, state))
    theirs = model.generate(torch.tensor([PROMPT]), max_new_tokens=12, do_sample=False)[0, len(PROMPT):].tolist()
    assert theirs == ours
    assert lengths == [len(PROMPT), *[1] * 11]
    beams = [model.generate(torch.tensor([PROMPT] * 2), attention_mask=torch.ones(2, len(PROMPT)), max_new_tokens=8,
                            num_beams=3, do_sample=False, use_cache=cached) for cached in (True, False)]
    assert torch.equal(*beams)                              # a search drops rows, and their states with them


@needed
def test_what_would_compute_something_else_is_refused(folder):
    model, mask = read(folder), torch.tensor([[0] + [1] * (len(PROMPT) - 1)])
    with pytest.raises(UsageError, match="rows of one length"):
        model(torch.tensor([PROMPT]), attention_mask=mask)
    with pytest.raises(ValueError, match="assisted generation is not supported"):
        model.generate(torch.tensor([PROMPT]), max_new_tokens=3, prompt_lookup_num_tokens=3)
    with pytest.raises(UsageError, match="takes no device_map"):
        read(folder, device_map="auto")
    with pytest.raises(UsageError, match="is float32"):
        read(folder, dtype=torch.bfloat16)


@needed
def test_a_folder_that_was_changed_is_one_line(folder, tmp_path):
    for name, change, reason in (
        ("plugin", ("plugin = \\\"baseline\\\"", "plugin = \\\"other\\\""), "not registered here"),
        ("size", ("dim = \\\"8\\\"", "dim = \\\"16\\\""), "does not fit"),
        ("vocabulary", ("vocabulary = \\\"\\\"", "vocabulary = \\\"ab\\\""), "lacks what its tokenizer has learned"),
        ("tokens", ("vocab_size = 257", "vocab_size = 300"), "were trained with 300 tokens"),
    ):
        shutil.copytree(folder, tmp_path / name)
        text = (folder / "config.json").read_text()
        assert change[0] in text
        (tmp_path / name / "config.json").write_text(text.replace(*change))
        with pytest.raises(FileError, match=reason) as found:
            read(tmp_path / name)
        assert "\n" not in str(found.value)


@needed
def test_the_command_writes_a_folder_without_code(trained, invoke, tmp_path):
    code, out, _ = invoke("export", trained, "--format", "hf", "-o", tmp_path / "new")
    assert (code, out.count("\n")) == (0, 1)
    assert {path.name for path in (tmp_path / "new").iterdir()} == {
        "config.json", "generation_config.json", "model.safetensors"}
    assert "auto_map" not in json.loads((tmp_path / "new" / "config.json").read_text())
    assert invoke("export", trained, "--format", "hf", "-o", tmp_path / "new")[0] == 4


def test_without_the_package_a_line_names_the_extra(trained, invoke, monkeypatch, tmp_path):
    monkeypatch.setattr(command_module, "find_spec", lambda name: None)
    assert invoke("export", trained, "--format", "hf", "-o", tmp_path / "new") == (
        3, "", "harness: --format hf needs the package transformers: pip install 'qllm-harness[peers]'\n")
