"""Other people's models behind the interface: configs from the table, caches as states, the recurrent networks."""

import inspect

import pytest
import torch
from harness.plugins.peers.architectures import ARCHITECTURES
from harness.plugins.peers.config import OWN, PeerConfig
from laws import in_pieces
from torch.utils import _pytree as pytree

from harness.bench.continuation import beginning
from harness.build import build
from harness.errors import HarnessError, UsageError
from harness.model import count_parameters, state_bytes
from harness.options import make_config
from harness.registry import load
from harness.run.identity import model_digest

MODELS, VOCAB, LENGTH = load().models, 37, 21
CUTS = ([9, 12], [20], [5, 6, 7, 8])
SAMPLE = ("llama", "gemma3_text", "mamba2", "qwen3_next", "zamba2", "lfm2", "minimax", "rwkv", "mamba")


def tokens(batch=2, length=LENGTH, seed=0):
    return torch.randint(VOCAB, (batch, length), generator=torch.Generator().manual_seed(seed))


def make(arch, **options):
    pytest.importorskip("transformers").logging.set_verbosity_error()
    from harness.plugins.peers.model import Peer

    torch.manual_seed(0)
    step = PeerConfig(arch=arch).width_step
    return Peer(PeerConfig(arch=arch, dim=max(32, step), **options), VOCAB).eval()


@torch.no_grad()
def split_error(model):
    """The largest difference of pieces from the whole, in std of the logits."""
    whole, _ = model(tokens())
    return max(float((in_pieces(model, tokens(), cuts)[0] - whole).abs().max() / whole.std()) for cuts in CUTS)


def test_the_table_has_forty_architectures_and_more():
    assert len(ARCHITECTURES) >= 60
    assert all(entry.get("finding") for entry in ARCHITECTURES.values() if "read" in entry)


@pytest.mark.parametrize("arch", SAMPLE)
def test_a_peer_keeps_the_split_law(arch):
    model = make(arch)
    assert split_error(model) < 1e-4
    with torch.no_grad():
        _, state = model(tokens())
        first, again = (model(tokens(length=1), state)[0] for _ in range(2))
        assert torch.equal(first, again)
        leaves = [leaf for leaf in pytree.tree_leaves(state) if isinstance(leaf, torch.Tensor)]
        assert {leaf.shape[0] for leaf in leaves} == {2} and state_bytes(state) > 0
        sent = pytree.tree_map(lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, state)
        assert torch.equal(model(tokens(length=1), sent)[0], first)
    logits, nothing = model.train()(tokens())
    logits.sum().backward()
    assert nothing is None


@torch.no_grad()
@pytest.mark.parametrize("arch", ["llama", "mamba2", "qwen3_next", "lfm2", "mamba", "rwkv"])
def test_a_peer_goes_on_without_copying_as_it_does_with_a_copy(arch):
    model, whole = make(arch), tokens()
    held = own = model(whole[:, :9])[1]
    kept = beginning(model, held)
    for piece in whole[:, 9:].split([1, 1, 3, 7], dim=1):
        expected, held = model(piece, held)
        logits, kept = model.advance(piece, kept)
        assert float((logits - expected).abs().max()) < 1e-5 * float(expected.std())
    assert torch.equal(model(whole[:, 9:10], own)[0], model(whole[:, 9:10], own)[0])


@pytest.mark.slow
@pytest.mark.parametrize("arch", sorted(set(ARCHITECTURES) - set(SAMPLE)))
def test_every_architecture_of_the_table_keeps_the_split_law(arch):
    assert split_error(make(arch)) < 1e-4


@pytest.mark.parametrize("arch", ["mamba", "minimax"])
def test_what_is_read_token_by_token_would_fail_otherwise(arch):
    """Else the table is out of date."""
    assert split_error(make(arch, read="whole")) > 1e-3
    assert "read token by token" in make(arch).note()


def test_the_state_of_attention_grows_and_that_of_a_recurrence_does_not():
    grows, stays = ([state_bytes(make(arch)(tokens(1, length))[1]) for length in (8, 16, 32)]
                    for arch in ("llama", "mamba2"))
    assert grows[2] > 1.9 * grows[1] > 3 * grows[0]
    assert max(stays) - min(stays) <= 8


@pytest.mark.parametrize(("arch", "words"), [
    ("bert", "bert is built as an encoder"), ("big_bird", "big_bird is built as an encoder"),
    ("megatron-bert", "megatron-bert is built as an encoder"), ("lama", "did you mean llama"),
])
def test_what_is_no_causal_model_is_refused_with_the_reason(arch, words):
    with pytest.raises(HarnessError, match=words):
        make(arch)


@pytest.mark.parametrize(("options", "words"), [
    ({"arch": "llama", "window": "8"}, "arch=llama has no window"), ({"arch": "xlstm", "dim": "64"}, "multiple of 128"),
    ({"heads": "3"}, "must be a multiple of 6"), ({"arch": "mamba2", "state": "0"}, "state=0 must be at least 1"),
])
def test_options_that_an_architecture_has_not_are_one_line(options, words):
    with pytest.raises(UsageError, match=words):
        make_config(MODELS["transformers"], options)


@pytest.mark.parametrize(("arch", "knob"), [("llama", "hidden"), ("mamba2", "state")])
def test_sizes_are_solved_for_with_finer_knobs(arch, knob):
    pytest.importorskip("transformers")
    built = build(MODELS["transformers"], {"arch": arch}, VOCAB, params=40_000)
    coarse = build(MODELS["transformers"], {"arch": arch, knob: "16"}, VOCAB, params=40_000)
    assert abs(built.count.non_embedding / 40_000 - 1) < 0.02 < abs(coarse.count.non_embedding / 40_000 - 1)
    assert built.count == count_parameters(built.model)


@pytest.mark.parametrize("target", [30_000, 300_000])
def test_a_recurrence_keeps_a_state_at_every_size(target):
    """The nearest width overshoots at both: with a state of 1 it had the parameters and was no Mamba-2 any more."""
    pytest.importorskip("transformers")
    built = build(MODELS["transformers"], {"arch": "mamba2"}, VOCAB, params=target)
    assert 16 <= built.config.state <= 64 and abs(built.count.non_embedding / target - 1) < 0.015
    assert not built.note


@pytest.mark.parametrize("arch", ["llama", "mamba2", "gpt_neox"])
@torch.no_grad()
def test_hidden_states_are_what_the_output_map_reads(arch):
    model = make(arch)
    hidden, state = model.hidden_states(tokens()[:, :9])
    logits, _ = model(tokens()[:, :9])
    assert hidden.shape == (2, 9, 32)
    assert torch.allclose(model.inner.get_output_embeddings()(hidden), logits, atol=1e-5)
    rest, _ = model.hidden_states(tokens()[:, 9:], state)
    assert torch.allclose(rest, model.hidden_states(tokens())[0][:, 9:], atol=1e-4)


def test_the_table_names_fields_that_its_configs_have():
    """A field that a newer release renamed would be dropped without a word."""
    kinds = pytest.importorskip("transformers").CONFIG_MAPPING
    unknown = {(arch, name) for arch, entry in ARCHITECTURES.items() for name in entry.keys() - {*OWN}
               if name not in inspect.signature(kinds[arch]).parameters}
    assert not unknown


def test_versions_of_what_a_peer_requires_are_part_of_its_identity(monkeypatch):
    from harness.run import digest

    def version_is(version):
        monkeypatch.setattr(digest, "version", lambda package: version)
        return model_digest(load(), MODELS["transformers"], {}), model_digest(load(), MODELS["gru"], {})

    (old, gru), (new, same) = version_is("5.24.0"), version_is("5.25.0")
    assert old != new and gru == same
