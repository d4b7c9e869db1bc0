"""Checkpoints: what is written is what is read, and anything else is one clear line."""

import tomllib
from dataclasses import dataclass, replace

import pytest
import torch
from safetensors.torch import load_file, save_file

from harness.bench.weights import (
    build_trained,
    model_tensors,
    optimizer_tensors,
    restore_model,
    restore_optimizer,
    save,
)
from harness.build import build
from harness.checkpoint import (
    BEST,
    CONFIG,
    LAST,
    TOKENIZER,
    RunConfig,
    learned_digest,
    model_options,
    open_checkpoint,
    read_config,
    to_toml,
)
from harness.data.tokenizers import Bytes, make_tokenizer
from harness.errors import FileError, HarnessError, PluginError, UsageError
from harness.options import config_class, make_config
from harness.registry import load
from harness.run.choices import check_options, choose
from harness.run.identity import weights_digest
from harness.selector import parse_selector
from harness.specs import ModelSpec, missing

OPTIONS = {"dim": "8", "layers": "1", "hidden": "12"}
HERE = __name__


@pytest.fixture(scope="module")
def registry():
    return load()


@pytest.fixture
def run(tmp_path, registry):
    """A run's directory with best and last weights of a small model, as training writes them."""
    built = build(registry.models["ssm"], OPTIONS, 257, seed=1)
    config = RunConfig("id1", "ssm", "bytes", 257, "sha", model=model_options(registry.models["ssm"], built.config))
    config.write(tmp_path)
    for name in (BEST, LAST):
        save(tmp_path / name, model_tensors(built.model), {"run_id": "id1", "bytes_seen": 1234})
    return tmp_path


def test_weights_come_back_bit_for_bit_and_tied_ones_once(run, registry):
    built = build(registry.models["ssm"], OPTIONS, 257, seed=1)
    checkpoint = open_checkpoint(str(run))
    trained = build_trained(registry.models["ssm"], checkpoint, Bytes())
    assert checkpoint.bytes_seen == 1234
    assert trained.config == built.config
    for (name, ours), theirs in zip(built.model.named_parameters(), trained.model.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
    assert trained.model.head.weight is trained.model.embedding.weight
    stored = load_file(run / BEST)
    assert sum(tensor.numel() for tensor in stored.values()) == built.count.total


def test_a_directory_stands_for_its_best_weights(run):
    assert open_checkpoint(str(run)).weights == run / BEST
    assert open_checkpoint(str(run / LAST)).weights == run / LAST
    (run / BEST).unlink()
    assert open_checkpoint(str(run)).weights == run / LAST


@pytest.mark.parametrize(("spoil", "reason"), [
    (lambda run: [path.unlink() for path in run.iterdir()], "no training run at"),
    (lambda run: (run / CONFIG).write_text("format = ["), "config.toml is corrupt"),
    (lambda run: (run / CONFIG).write_bytes(b"\xff\xfe"), "config.toml is corrupt"),
    (lambda run: (run / CONFIG).write_text("[tool.ruff]\nline-length = 120\n"), "not written by this version"),
    (lambda run: (run / CONFIG).write_text("format = 1\nrun_id = 'x'\n"), "training run: plugin: is missing"),
    (lambda run: (run / BEST).write_bytes(b"not weights"), "best.safetensors is corrupt"),
    (lambda run: (run / BEST).write_bytes((run / BEST).read_bytes()[:-9]), "best.safetensors is corrupt"),
    (lambda run: save_file({"model.x": torch.ones(1)}, run / BEST), "does not belong to the config.toml"),
    (lambda run: save(run / BEST, {"model.x": torch.ones(1)}, {"run_id": "another"}), "does not belong"),
    (lambda run: [(run / name).unlink() for name in (BEST, LAST)], "holds no weights yet"),
])
def test_what_is_missing_corrupt_or_foreign_is_one_clear_line(run, spoil, reason):
    spoil(run)
    with pytest.raises(FileError, match=reason) as caught:
        open_checkpoint(str(run))
    assert "\n" not in str(caught.value)
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(("change", "reason"), [
    ({"model.norm.weight": None}, "norm.weight is missing"),
    ({"model.strange": torch.ones(1)}, "strange is not in the model"),
    ({"model.norm.weight": torch.ones(5)}, "norm.weight has another shape"),
])
def test_weights_that_do_not_fit_change_nothing(registry, change, reason, tmp_path):
    model = build(registry.models["ssm"], OPTIONS, 257).model
    before = {name: tensor.detach().clone() for name, tensor in model_tensors(model).items()}
    tensors = {name: tensor + 1 for name, tensor in before.items()} | change
    with pytest.raises(FileError, match=reason):
        restore_model(model, {name: tensor for name, tensor in tensors.items() if tensor is not None}, tmp_path)
    assert all(torch.equal(tensor, before[name]) for name, tensor in model_tensors(model).items())


LEARNED = {"roots": [" happi", "\xff"], "suffixes": ["ness"], "prefixes": []}


@pytest.fixture
def learnt(run):
    """The run with a tokenizer that has learned something."""
    replace(read_config(run), vocabulary=learned_digest(LEARNED)).write(run, LEARNED)
    return run


def test_what_a_tokenizer_learned_comes_back_and_its_digest_follows_it(run, learnt):
    assert open_checkpoint(str(learnt)).learned == LEARNED
    assert learned_digest(LEARNED) != learned_digest({**LEARNED, "suffixes": []}) != learned_digest(None) == ""
    before = weights_digest(str(learnt))
    other = {**LEARNED, "suffixes": []}
    replace(read_config(run), vocabulary=learned_digest(other)).write(run, other)
    assert weights_digest(str(learnt)) != before


def test_a_tokenizer_that_learns_nothing_is_not_kept(run):
    assert open_checkpoint(str(run)).learned is None
    assert not (run / TOKENIZER).exists()


@pytest.mark.parametrize(("spoil", "reason"), [
    (lambda path: path.unlink(), "tokenizer.json is missing, and the weights beside it are of no use without"),
    (lambda path: path.write_bytes(path.read_bytes()[:-5]), "tokenizer.json is corrupt or of another run"),
    (lambda path: path.write_text("{}"), "tokenizer.json is corrupt or of another run"),
    (lambda path: (path.unlink(), path.mkdir()), "cannot read .*tokenizer.json: Is a directory"),
])
def test_a_tokenizer_that_is_lost_or_changed_is_one_clear_line(learnt, spoil, reason):
    spoil(learnt / TOKENIZER)
    with pytest.raises(FileError, match=reason) as caught:
        open_checkpoint(str(learnt))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("learned", [None, {"roots": []}, {"roots": 3, "prefixes": [], "suffixes": []}])
def test_what_another_tokenizer_learned_is_one_clear_line(registry, learned):
    with pytest.raises(FileError, match="what the tokenizer morphological should have learned") as caught:
        make_tokenizer(registry.tokenizers["morphological"], learned)
    assert "\n" not in str(caught.value)


def test_another_vocabulary_is_told(run, registry):
    other = Bytes()
    other.vocab_size = 300
    with pytest.raises(FileError, match="was trained with 257 tokens"):
        build_trained(registry.models["ssm"], open_checkpoint(str(run)), other)


def test_a_write_that_fails_leaves_the_old_file_whole(run, monkeypatch):
    before = (run / BEST).read_bytes()
    monkeypatch.setattr("os.fsync", lambda _: (_ for _ in ()).throw(OSError(28, "No space left")))
    with pytest.raises(FileError, match=r"cannot write .*best\.safetensors: No space left"):
        save(run / BEST, {"model.x": torch.zeros(3)}, {})
    assert (run / BEST).read_bytes() == before
    assert sorted(path.name for path in run.iterdir()) == sorted([BEST, LAST, CONFIG])


def test_optimiser_state_comes_back_bit_for_bit():
    def trained(steps, optimizer, parameters):
        for step in range(steps):
            for index, parameter in enumerate(parameters):
                parameter.grad = torch.full_like(parameter, 0.1 * (step + index + 1))
            optimizer.step()

    def fresh():
        parameters = [torch.nn.Parameter(torch.ones(3)), torch.nn.Parameter(torch.ones(2, 2))]
        return parameters, torch.optim.AdamW(parameters, lr=0.1)

    parameters, optimizer = fresh()
    trained(3, optimizer, parameters)
    others, restored = fresh()
    for other, parameter in zip(others, parameters, strict=True):
        other.data.copy_(parameter.data)
    restore_optimizer(restored, {name: tensor.clone() for name, tensor in optimizer_tensors(optimizer).items()})
    trained(2, optimizer, parameters)
    trained(2, restored, others)
    assert all(torch.equal(a, b) for a, b in zip(parameters, others, strict=True))


def test_without_safetensors_it_says_what_to_install(run, monkeypatch):
    monkeypatch.setattr("harness.checkpoint.find_spec", lambda name: None)
    with pytest.raises(PluginError, match="pip install safetensors"):
        open_checkpoint(str(run))


def test_toml_of_awkward_texts_is_read_back():
    table = {"text": 'a"b\\c\n\t\x00\x7fé😀 #', "yes": True, "count": 3, "small": 1e-12, "empty": ""}
    read = tomllib.loads(to_toml({"": {"format": 1}, "train": table}))
    assert read == {"format": 1, "train": table}


def test_a_config_comes_back_from_disk(tmp_path):
    config = RunConfig(
        "id", "ssm", "bytes", 257, "sha", "code", {"dim": "8"}, {"plugin": "ssm:dim=8", "lr": 0.1}, "digest")
    config.write(tmp_path)
    assert read_config(tmp_path) == config


def test_the_options_of_every_plugin_rebuild_its_config(registry):
    for spec in registry.models.values():
        if missing(spec):
            continue
        for preset in ("", *getattr(config_class(spec), "PRESETS", {})):
            config = make_config(spec, {}, preset)
            assert make_config(spec, model_options(spec, config)) == config, (spec.name, preset)


@dataclass(frozen=True)
class Unspeakable:
    table: dict | None = None
    label: str | None = None


@pytest.mark.parametrize("config", [Unspeakable(table={"a": 1}), Unspeakable(label="none")])
def test_a_config_that_options_cannot_rebuild_is_refused_before_training(config):
    spec = ModelSpec("odd", f"{HERE}:Model", f"{HERE}:Unspeakable", "classical", "", "")
    with pytest.raises(UsageError, match="config of odd cannot be kept"):
        model_options(spec, config)


@pytest.mark.parametrize(("selector", "tokenizer", "reason"), [
    ("baseline@{run}", "bytes", "holds a trained ssm, not baseline"),
    ("ssm:dim=16@{run}", "bytes", "was trained with dim=8, not dim=16"),
    ("ssm@{run}", "gpt2", "was trained with --tokenizer bytes, not gpt2"),
    ("ssm:nothing=1@{run}", "bytes", "unknown option of ssm 'nothing'"),
    ("ssm@{run}/nowhere", "bytes", "no checkpoint at"),
    ("ssm@", "bytes", "malformed selector"),
])
def test_a_selector_must_agree_with_its_checkpoint(run, registry, selector, tokenizer, reason):
    with pytest.raises(HarnessError, match=reason):
        check_options(choose(registry, [selector.format(run=run)]), "", tokenizer)


def test_a_selector_that_agrees_passes_and_its_digest_follows_the_weights(run, registry):
    first, = choose(registry, [f"ssm:dim=8@{run}"])
    check_options([first], "huge", "bytes")                 # a size is for fresh models
    assert first.label == f"ssm:dim=8@{run}"
    tensors = load_file(run / BEST)
    save(run / BEST, {name: tensor + 1 for name, tensor in tensors.items()}, {"run_id": "id1", "bytes_seen": 1234})
    second, = choose(registry, [f"ssm:dim=8@{run}"])
    assert first.weights != second.weights
    assert replace(first, weights="") == replace(second, weights="")


def test_an_at_sign_belongs_to_the_path_of_a_corpus():
    assert parse_selector("file:a@b.txt", argument=True).argument == "a@b.txt"
    assert str(parse_selector("ssm:b=2:a=1@runs/x:y=z")) == "ssm:a=1:b=2@runs/x:y=z"
