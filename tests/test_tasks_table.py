"""The table of tasks: every setting holds its task, sizes are the published ones, and the first texts are pinned."""

import hashlib

import numpy as np
import pytest
from conftest import ROOT

from harness.data.abilities.stream import IGNORED
from harness.data.abilities.table import ABILITIES, ability_named, longer, variants
from harness.errors import UsageError

SETTINGS = [(ability, part, setting) for ability in ABILITIES.values()
            for size in filter(None, (ability.paper, ability.quick))
            for part in ("train", "test") for _, setting in getattr(size, part)]


@pytest.mark.parametrize(("ability", "part", "setting"), SETTINGS)
def test_every_setting_holds_its_task(ability, part, setting):
    for index in range(2):
        inputs, targets = ability.text(setting, part, 0, index)
        assert inputs.shape == targets.shape
        assert inputs.dtype == targets.dtype == np.int64
        asked = targets[targets != IGNORED]
        assert len(asked)
        assert 0 <= inputs.min() <= inputs.max() < ability.vocab(setting)
        assert 0 <= asked.min() <= asked.max() < ability.vocab(setting)


@pytest.mark.parametrize("ability", [a for a in ABILITIES.values() if a.quick], ids=lambda ability: ability.name)
def test_chance_is_that_of_guessing_among_the_answers_of_tests(ability):
    """As many answers come as chance says."""
    _, setting = ability.quick.test[0]
    drawn = [ability.text(setting, "test", 0, index).targets for index in range(200)]
    counts = np.bincount(np.concatenate([targets[targets != IGNORED] for targets in drawn]))
    assert (counts > 0).sum() == round(1 / ability.chance(setting))


def test_a_known_mark_is_no_guess():
    ability = ABILITIES["compression"]
    assert ability.chance({"vocab": 16, "length": 32}) == pytest.approx((31 / 15 + 1) / 32)


def test_mad_has_its_66_settings():
    """Poli et al. 2024: 11 + 14 + 11 + 13 + 11 + 6."""
    mad = [ability for ability in ABILITIES.values() if ability.changes]
    assert [len(variants(ability)) for ability in mad] == [11, 14, 11, 13, 11, 6]
    for ability in mad:
        sizes = variants(ability)
        ((texts, baseline),) = sizes[0].train
        for size in sizes[1:]:
            ((other, setting),) = size.train
            assert (other != texts) + sum(setting[name] != baseline[name] for name in baseline) == 1
            assert size.test == ((1_280, setting),)
            ability.text(setting, "test", 0, 0)


def test_longer_texts_are_of_the_same_task():
    assert longer({"length": 16, "shortest": 3}, 1) == {"length": 16, "shortest": 3}
    assert longer({"length": 16, "shortest": 3}, 4) == {"length": 64, "shortest": 49}
    for ability in ABILITIES.values():
        for factor in (2, 8):
            setting = longer((ability.quick or ability.paper).train[0][1], factor)
            text = ability.text(setting, "test", 0, 0)
            assert len(text.inputs) in (setting["length"], setting["length"] - 1)
            assert ability.vocab(setting) > text.inputs.max()


def test_a_name_that_is_none_is_answered_with_those_there_are():
    assert ability_named("mqar:64x4").paper.test == ((3_000, {"vocab": 8192, "length": 64, "pairs": 4}),)
    with pytest.raises(UsageError, match=r"no task is called 'mqar:65x4'; there are context-recall, .*, parity"):
        ability_named("mqar:65x4")


def test_the_page_names_every_task():
    page = (ROOT / "docs" / "abilities.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in ABILITIES)


PINNED = {
    "context-recall": "52dc12a2f3c26b79",
    "noisy-recall": "19b9d7d71cf9f2cb",
    "fuzzy-recall": "4ce3ae96199a9001",
    "selective-copy": "881e4e009d8c62b2",
    "compression": "e32756ef111c0ed5",
    "memorisation": "469c3897d5c446af",
    "mqar:64x4": "dbb561befa37b940",
    "mqar:128x8": "438f2ffb5a05504d",
    "mqar:256x16": "aab2aca85bf83461",
    "mqar:512x64": "479779531ac8ab19",
    "mqar:based": "134ae68f020c3822",
    "mqar:reassigned": "24b8df0d0c4595ad",
    "mqar:compositional": "874a813a9e385e14",
    "copy": "6b319609483413f5",
    "induction": "d2f2a1d73e321f23",
    "needle": "1a418fe5428c1e76",
    "regbench": "2a5c77fe66466e21",
    "z60": "916b0ead9a0c2b63",
    "a4xz5": "96019b5460e6d8c4",
    "a5": "fbe75907eed6ae21",
    "s5": "43cfb4d64776e5ec",
    "parity": "0fa99b7535f4ed75",
    "modular-arithmetic": "fc47fbceae8092f3",
}


@pytest.mark.parametrize("name", ABILITIES)
def test_texts_depend_on_the_seed_alone(name):
    """The digests pin the first texts down: a change of them is a change of the benchmark."""
    ability, digest = ABILITIES[name], hashlib.sha256()
    for size in filter(None, (ability.paper, ability.quick)):
        for part in ("train", "test"):
            for index, (_, setting) in enumerate(getattr(size, part)):
                text = ability.text(setting, part, 0, index)
                assert (ability.text(setting, part, 1, index).inputs != text.inputs).any()
                digest.update(np.concatenate(text).astype("<i8").tobytes())
    assert digest.hexdigest()[:16] == PINNED[name]
