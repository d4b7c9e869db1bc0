"""Weights of elsewhere as a checkpoint: logits and ids are those of the packages, trouble is one line."""

import json
import shutil
from importlib.util import find_spec

import numpy as np
import pytest
import torch

from harness.bench.restored import restore
from harness.bench.score import score
from harness.checkpoint import open_checkpoint
from harness.conformance.tokenizer_checks import check_tokenizer
from harness.data.batches import score_batches
from harness.data.tokenizers import vocabulary
from harness.errors import FileError
from harness.registry import load

needed = pytest.mark.skipif(not find_spec("transformers"), reason="transformers is not installed")
TEXT = b"of the alpha beta <|endoftext|> caf\xc3\xa9 \xff\xfe of the"
WORDS = b"alpha beta of the " * 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What transformers saves of a tiny model, with a tokenizer; the model has ids that the tokenizer does not use."""
    transformers, tokenizers = pytest.importorskip("transformers"), pytest.importorskip("tokenizers")
    from harness.plugins.peers.tokenizer import learn

    folder, learned = tmp_path_factory.mktemp("foreign"), learn([WORDS], 270)
    torch.manual_seed(0)
    sizes = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
             "intermediate_size": 24, "max_position_embeddings": 64}
    transformers.LlamaForCausalLM(transformers.LlamaConfig(
        vocab_size=280, bos_token_id=learned["bos"], eos_token_id=learned["bos"], **sizes)).save_pretrained(folder)
    tokenizers.Tokenizer.from_str(json.dumps(learned["tokenizer"])).save(str(folder / "tokenizer.json"))
    return folder


@pytest.fixture(scope="module")
def restored(folder, tmp_path_factory):
    from harness.bridges.foreign import keep_foreign, read_foreign

    registry, out = load(), tmp_path_factory.mktemp("converted")
    spec = registry.models["transformers"]
    keep_foreign(registry, spec, read_foreign(spec, folder), out)
    return restore(registry, open_checkpoint(str(out)))


@needed
def test_logits_and_scores_are_those_of_the_library(restored, folder):
    from tokenizers import Tokenizer
    from transformers import AutoModelForCausalLM

    theirs = AutoModelForCausalLM.from_pretrained(folder)
    ids = [restored.tokenizer.bos, *Tokenizer.from_file(str(folder / "tokenizer.json")).encode(WORDS.decode()).ids][:50]
    with torch.no_grad():
        logits = theirs(torch.tensor([ids])).logits
        assert torch.equal(restored.model(torch.tensor([ids]))[0], logits)
    text = restored.tokenizer.decode(ids)
    batches = score_batches([restored.tokenizer.encode(text)], restored.tokenizer.bos, 64, batch_size=1)
    bits = -logits[0, :-1].double().log_softmax(-1)[torch.arange(49), ids[1:]].sum().item() / np.log(2)
    assert score(restored.model, batches, token_bytes=restored.tokenizer.token_bytes).bits_per_byte == pytest.approx(
        bits / len(text), rel=1e-6)


@needed
def test_the_tokenizer_loses_no_byte_and_knows_no_specials(restored):
    tokenizer = restored.tokenizer
    assert tokenizer.decode(tokenizer.encode(TEXT)) == TEXT             # encode itself compares, too
    assert tokenizer.bos not in tokenizer.encode(TEXT)
    assert len(vocabulary(tokenizer)) == 280
    assert {piece for piece in vocabulary(tokenizer) if len(piece) == 1} == {bytes([byte]) for byte in range(256)}


@needed
def test_one_that_learns_passes_the_checks():
    registry = load()
    assert all(line.status == "ok" for line in check_tokenizer(registry, registry.tokenizers["bpe"]))


def edited(path, **changes):
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def pickled(folder):
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def other_pieces(folder):
    from tokenizers import Tokenizer, models

    Tokenizer(models.BPE({"\u2581the": 0, "a": 1}, [])).save(str(folder / "tokenizer.json"))


SPOILT = {
    "pickled": (pickled, "only pytorch_model.bin: pickled weights can run anything"),
    "no tokenizer": (lambda folder: (folder / "tokenizer.json").unlink(), "has no tokenizer.json"),
    "no config": (lambda folder: (folder / "config.json").unlink(), "has no config.json"),
    "corrupt": (lambda folder: (folder / "config.json").write_text("{"), "config.json is corrupt"),
    "code": (lambda folder: edited(folder / "config.json", auto_map={"AutoModel": "x.Y"}), "brings code of its own"),
    "layers": (lambda folder: edited(folder / "config.json", num_hidden_layers=3), "lacks weights of its model"),
    "architecture": (lambda folder: edited(folder / "config.json", model_type="lama"), "did you mean"),
    "start": (lambda folder: edited(folder / "config.json", bos_token_id=None, eos_token_id=None), "no bos_token_id"),
    "pieces": (other_pieces, "is no string of bytes"),
}


@needed
@pytest.mark.parametrize("what", SPOILT)
def test_a_folder_that_cannot_be_read_is_one_line(folder, tmp_path, invoke, what):
    spoil, reason = SPOILT[what]
    shutil.copytree(folder, tmp_path / "in")
    spoil(tmp_path / "in")
    code, out, err = invoke("convert", f"transformers:path={tmp_path / 'in'}", "--out", tmp_path / "out")
    assert (code, out) == (4, "")
    assert reason in err.splitlines()[-1]
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()


@needed
def test_a_vocabulary_of_another_model_is_refused(folder, restored, tmp_path):
    from harness.bridges.foreign import keep_foreign, read_foreign

    registry = load()
    spec = registry.models["transformers"]
    found = read_foreign(spec, folder)
    found.learned["vocab_size"] = 200
    with pytest.raises(FileError, match="it has 270 ids, the model 200"):
        keep_foreign(registry, spec, found, tmp_path / "out")
    found.learned["vocab_size"] = 300
    with pytest.raises(FileError, match="its model has 280 tokens, its tokenizer 300"):
        keep_foreign(registry, spec, found, tmp_path / "out")


@pytest.mark.parametrize(("weights", "reason"), [
    ("baseline:path=x", "baseline reads no weights of elsewhere"), ("transformers", "write transformers:path=DIR"),
    ("transformers:path=x:dim=8", "and nothing else")])
def test_a_line_that_names_no_folder_is_refused(invoke, tmp_path, weights, reason):
    code, out, err = invoke("convert", weights, "--out", tmp_path / "out")
    assert (code, out, err.count("\n")) == (2, "", 1)
    assert reason in err
