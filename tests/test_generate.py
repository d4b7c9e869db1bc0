"""Generation: the sampler against a sequential reading of its definitions, the carried state, seeds, streaming text."""

import math

import numpy as np
import pytest
import torch
from caches import Buffered

from harness import LanguageModel
from harness.bench.generate import PRESETS, Sampling, generate, make_sampling, probabilities, text_pieces
from harness.build import build
from harness.data.tokenizers import Bytes
from harness.errors import HarnessError, UsageError
from harness.registry import load

VOCAB = 12


def reference(logits, seen, sampling):
    """The definitions one after another, with lists and plain Python numbers."""
    logits = [float(x) for x in logits]
    for token in seen:
        logits[token] = (logits[token] / sampling.repetition_penalty if logits[token] > 0
                         else logits[token] * sampling.repetition_penalty)
    likeliest = sorted(range(len(logits)), key=lambda i: -logits[i])
    if sampling.temperature == 0:
        return [float(i == likeliest[0]) for i in range(len(logits))]
    if sampling.top_k:
        likeliest = likeliest[:sampling.top_k]
    weight = {i: math.exp((logits[i] - max(logits)) / sampling.temperature) for i in likeliest}
    p = {i: w / sum(weight.values()) for i, w in weight.items()}
    nucleus, together = [], 0.0
    for i in likeliest:
        if together >= sampling.top_p:
            break
        nucleus.append(i)
        together += p[i]
    kept = {i: p[i] for i in nucleus if p[i] >= sampling.min_p * p[likeliest[0]]}
    return [kept.get(i, 0.0) / sum(kept.values()) for i in range(len(logits))]


@pytest.mark.parametrize("sampling", [
    Sampling(), Sampling(temperature=0.3), Sampling(temperature=0), Sampling(temperature=0, repetition_penalty=3),
    Sampling(top_k=1), Sampling(top_k=4, temperature=2), Sampling(top_k=99), Sampling(top_p=0.5), Sampling(top_p=1e-9),
    Sampling(min_p=0.2), Sampling(min_p=1), Sampling(repetition_penalty=1.7), Sampling(repetition_penalty=0.5),
    Sampling(0.7, 5, 0.8, 0.05, 1.2), *PRESETS.values(),
])
def test_probabilities_are_those_of_the_definitions(sampling):
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        logits = 3 * torch.randn(VOCAB, generator=generator)
        seen = torch.rand(VOCAB, generator=generator) < 0.4
        expected = reference(logits.double(), seen.nonzero().flatten().tolist(), sampling)
        np.testing.assert_allclose(probabilities(logits, seen, sampling).numpy(), expected, rtol=1e-9, atol=1e-12)


def test_the_token_that_crosses_top_p_is_kept():
    logits = torch.tensor([0.5, 0.3, 0.2]).log()
    seen = torch.zeros(3, dtype=torch.bool)
    assert probabilities(logits, seen, Sampling(top_p=0.6)).tolist() == pytest.approx([0.625, 0.375, 0])
    assert probabilities(logits, seen, Sampling(top_p=0.4)).tolist() == [1, 0, 0]


def test_a_penalty_makes_tokens_seen_less_likely_whatever_their_sign():
    logits, seen = torch.tensor([2.0, -2.0, 0.5]), torch.tensor([True, True, False])
    plain, penalised = (probabilities(logits, seen, Sampling(repetition_penalty=r)) for r in (1.0, 1.5))
    assert penalised[0] < plain[0]
    assert penalised[1] < plain[1]
    assert penalised[2] > plain[2]


def test_presets_are_the_published_settings_and_flags_refine_them():
    published = {"conservative": (0.6, 30, 0.8), "balanced": (0.7, 50, 0.9), "creative": (0.8, 100, 0.95)}
    assert {name: Sampling(*settings) for name, settings in published.items()} == PRESETS
    assert make_sampling("creative", top_k=7, min_p=None) == Sampling(0.8, 7, 0.95)
    with pytest.raises(UsageError, match="unknown preset 'ballanced'; did you mean 'balanced'"):
        make_sampling("ballanced")


@pytest.mark.parametrize(("name", "value"), [
    ("temperature", -1), ("temperature", math.nan), ("top_k", -1), ("top_p", 0), ("top_p", 1.1), ("min_p", 2),
    ("repetition_penalty", 0),
])
def test_impossible_settings_are_told_by_their_flag(name, value):
    with pytest.raises(UsageError, match=f"--{name.replace('_', '-')} must be"):
        Sampling(**{name: value})


@pytest.fixture(scope="module")
def model():
    return build(load().models["ssm"], {"dim": "16", "layers": "1"}, Bytes.vocab_size).model


PROMPT = [Bytes.bos, *b"a prompt of some length"]


def test_a_seed_gives_the_same_text_however_the_prompt_is_read(model):
    texts = [list(generate(model, PROMPT, 40, Sampling(), seed=5, chunk=chunk)) for chunk in (1024, 1, 7)]
    torch.manual_seed(99)                                   # what the process draws elsewhere does not matter
    assert texts[0] == texts[1] == texts[2] == list(generate(model, PROMPT, 40, Sampling(), seed=5))
    assert texts[0] != list(generate(model, PROMPT, 40, Sampling(), seed=6))


def test_greedy_text_is_that_of_reading_everything_anew_for_every_token(model):
    text = list(PROMPT)
    with torch.no_grad():
        for _ in range(30):
            text.append(int(model(torch.tensor([text]))[0][0, -1].argmax()))
    assert list(generate(model, PROMPT, 30, Sampling(temperature=0))) == text[len(PROMPT):]


class Recorder(LanguageModel):
    """Prefers token (tokens so far) mod VOCAB, and keeps the lengths that it was called with."""

    def __init__(self, bad=math.inf):
        super().__init__(None, VOCAB)
        self.scale = torch.nn.Parameter(torch.ones(()))
        self.lengths, self.bad = [], bad

    def forward(self, tokens, state=None):
        count = tokens.shape[1] + (0 if state is None else int(state[0, 0]))
        self.lengths.append(tokens.shape[1])
        logits = 50.0 * torch.nn.functional.one_hot(torch.tensor(count % VOCAB), VOCAB) * self.scale
        logits = logits.expand(1, tokens.shape[1], -1)
        return logits * math.nan if count > self.bad else logits, torch.tensor([[count]])


def test_the_prompt_is_read_once_and_the_state_carried():
    model = Recorder()
    assert list(generate(model, [0] * 5, 4, Sampling(), chunk=2)) == [5, 6, 7, 8]
    assert model.lengths == [2, 2, 1, 1, 1, 1]


class Counted(Buffered):
    """How many calls copied their state."""

    copies = 0

    def forward(self, tokens, state=None):
        self.copies += state is not None
        return super().forward(tokens, state)


def test_a_state_that_may_be_written_into_is_never_copied_and_the_text_is_the_same():
    torch.manual_seed(0)
    model, prompt, text = Counted(VOCAB), [3, 1, 4, 1, 5], [3, 1, 4, 1, 5]
    with torch.no_grad():
        logits, state = model(torch.tensor([prompt]))
        for _ in range(20):
            text.append(int(logits[0, -1].argmax()))
            logits, state = model(torch.tensor([text[-1:]]), state)
    assert model.copies == 20
    for chunk in (1024, 2):
        model.copies = 0
        assert list(generate(model, prompt, 20, Sampling(0, repetition_penalty=1), chunk=chunk)) == text[5:]
        assert model.copies == 0
    assert len(set(text)) > 2


class Constant(LanguageModel):
    """Likes token 0 best, then 1, 2, … whatever it reads."""

    def __init__(self):
        super().__init__(None, VOCAB)
        self.bias = torch.nn.Parameter(torch.linspace(1, 0.1, VOCAB))

    def forward(self, tokens, state=None):
        return self.bias.expand(*tokens.shape, -1), None


def test_the_penalty_is_for_what_was_generated_as_for_the_prompt():
    assert list(generate(Constant(), [1, 4], 5, Sampling(0, repetition_penalty=100))) == [0, 2, 3, 5, 6]


def test_generation_stops_before_the_end_token():
    assert list(generate(Recorder(), [0], 100, Sampling(), end=4)) == [1, 2, 3]


@pytest.mark.parametrize("temperature", [0, 1])
def test_logits_that_are_no_numbers_are_told(temperature):
    with pytest.raises(HarnessError, match="not finite after 4 tokens"):
        list(generate(Recorder(bad=3), [0, 0], 9, Sampling(temperature)))


def test_an_empty_prompt_is_refused(model):
    with pytest.raises(UsageError, match="at least one token"):
        list(generate(model, [], 3, Sampling()))


def test_text_comes_as_soon_as_its_characters_are_whole():
    text = "aé€😀".encode()
    pieces = list(text_pieces(Bytes(), [*text, Bytes.bos, 0xE2, 0x82]))
    assert pieces == ["a", "", "é", "", "", "€", "", "", "", "😀", "", "", "", "\ufffd"]
