"""The sealed check: a function of the past alone comes again however it is asked, and whatever else does not."""

import numpy as np
import pytest
import torch

from harness.referee.ledger import Call, Ledger, Place, everywhere
from harness.referee.seal import ROUND, Sealed, check

V, T, B = 17, 24, 6
TABLE = torch.randn(V, V, generator=torch.Generator().manual_seed(0))


def honest(tokens, state, how):
    """Logits by the sum of what came before, which is the state."""
    shift = 0 if state is None else state
    exact = TABLE.double() if how == "exact" else TABLE
    sums = (shift + tokens.cumsum(1)) % V
    return exact[sums] + exact[tokens], sums[:, -1:].clone()


def leak(tokens, state, how, size=9.0):
    """The next token is likelier."""
    logits, state = honest(tokens, state, how)
    logits = logits.clone()
    logits[:, :-1].scatter_add_(2, tokens[:, 1:, None], torch.full((*tokens[:, 1:].shape, 1), size, dtype=logits.dtype))
    return logits, state


def bulk(function, texts=20, where=None, most=200):
    """What bulk scoring by `function` leaves in a ledger; `where` (B, T) says where it is used, honesty elsewhere."""
    generator = torch.Generator().manual_seed(1)
    ledger = Ledger(most=most, secret=np.random.default_rng(2))
    for number in range(texts):
        text = torch.randint(V, (B, T + 1), generator=generator)
        tokens, targets = text[:, :-1], text[:, 1:]
        logits = function(tokens, None, "score")[0]
        if where is not None:
            logits = torch.where(where[..., None], logits, honest(tokens, None, "score")[0])
        ledger.note(tokens, logits, everywhere(tokens), [f"text {number}"] * B, targets)
    return ledger


def asked(ledger, *rooms, seconds=60.0, **changed):
    given = {"how": "score", "dtype": "float32", "seconds": seconds, "secret": np.random.default_rng(3)} | changed
    return check(rooms or (honest, honest), ledger.places, ledger.calls, V, **given)


def test_an_honest_model_comes_again_at_every_place():
    found = asked(bulk(honest))
    assert found.passed and found.places == 200 and not found.note
    assert "200 places came again" in found.summary() and "0.023 of the targets" in found.summary()


def test_a_model_that_knows_no_position_beyond_the_scored_texts_is_asked_for_none():
    def bounded(tokens, state, how):
        past, shift = (0, None) if state is None else state
        assert past + tokens.shape[1] <= T, "beyond the table of positions"
        logits, shift = honest(tokens, shift, how)
        return logits, (past + tokens.shape[1], shift)

    assert asked(bulk(bounded), bounded, bounded).passed


def test_a_leak_is_named_with_its_place_and_both_logits():
    found = asked(bulk(leak))
    assert not found.passed and found.places == ROUND
    assert "text " in found.fault and "position " in found.fault and "fresh process without the future" in found.fault


@pytest.mark.parametrize("where", [
    torch.arange(B)[:, None].expand(B, T) == 5,                     # one row of six
    torch.arange(T)[None].expand(B, T) == 7,                        # one place of twenty-four
])
def test_a_leak_at_few_places_is_found_while_its_share_is_above_the_bound(where):
    assert not asked(bulk(leak, where=where)).passed


def test_a_fresh_model_that_leaks_too_cannot_know_the_future_that_it_is_not_given():
    """The same dishonest code on both sides: bulk scoring had the text, the fresh process has random tokens."""
    assert not asked(bulk(leak), leak, leak).passed


def test_a_state_that_is_kept_elsewhere_is_missed_in_another_process():
    def hides():
        kept = {}

        def model(tokens, state, how):
            past = tokens if state is None else torch.cat([kept.get(int(state[0]), tokens[:, :0].expand(
                len(tokens), 0)), tokens], 1) if int(state[0]) in kept else tokens
            kept[past.shape[1]] = past
            return honest(past, None, how)[0][:, -tokens.shape[1]:], torch.full((len(tokens),), past.shape[1])
        return model

    one = hides()
    assert asked(bulk(honest), one, one).passed                      # one process for both halves would not notice
    assert not asked(bulk(honest), hides(), hides()).passed


def test_a_call_with_a_state_that_does_not_come_again_is_a_fault():
    ledger = bulk(honest)
    tokens, state = torch.ones(2, 1, dtype=torch.int64), torch.tensor([[1], [2]])
    logits = honest(tokens, state, "score")[0]
    ledger.calls = [Call(tokens, state, logits)]
    assert asked(ledger).passed
    ledger.calls = [Call(tokens, state + 1, logits)]
    assert "something besides the state was kept" in asked(ledger).fault


def rounded(tokens, state, how, share=0.05):
    """A float32 form of which some logits come out a little otherwise in every shape, in no direction."""
    logits, state = honest(tokens, state, how)
    generator = torch.Generator().manual_seed(tokens.numel())
    noise = torch.randn(logits.shape, generator=generator)
    jumps = torch.rand(tokens.shape, generator=generator) < share
    return (logits if how == "exact" else logits + 0.01 * noise * jumps[..., None]), state


def test_rounding_is_told_and_forgiven_where_float64_knows_no_difference():
    found = asked(bulk(rounded), rounded, rounded)
    assert found.passed and "differ by rounding of float32" in found.note


def test_rounding_at_most_places_is_none():
    def everywhere_rounded(tokens, state, how):
        return rounded(tokens, state, how, share=1.0)

    found = asked(bulk(everywhere_rounded), everywhere_rounded, everywhere_rounded)
    assert "of 200 places differ by more than float32 rounds" in found.fault


def test_a_small_leak_is_not_taken_for_rounding():
    def faint(tokens, state, how):
        return leak(tokens, state, how, size=0.05)

    assert not asked(bulk(faint), faint, faint).passed


def test_what_is_small_in_float32_alone_must_not_flatter_the_score():
    def only_in_float32(tokens, state, how):
        return (honest if how == "exact" else lambda *a: leak(*a, size=0.2))(tokens, state, how)

    where = torch.arange(T).expand(B, T) % 5 == 0           # few enough to pass for rounding
    found = asked(bulk(only_in_float32, where=where), only_in_float32, only_in_float32)
    assert "bits a target better than a fresh process" in found.fault


def test_nan_is_no_agreement():
    ledger = bulk(honest)
    ledger.places[:] = [Place(p.tokens, p.at, p.logits * float("nan"), p.where, p.target) for p in ledger.places]
    assert not asked(ledger).passed


def test_one_round_is_asked_however_short_the_time_and_the_bound_follows():
    found = asked(bulk(honest), seconds=0.0)
    assert found.passed and found.places == ROUND
    assert found.unseen == pytest.approx(1 - 0.01 ** (1 / ROUND))


def test_nothing_scored_proves_nothing():
    found = asked(Ledger())
    assert found.places == 0 and found.unseen == 1.0


def test_what_is_asked_varies_in_rows_lengths_and_cuts():
    shapes = set()

    def watched(tokens, state, how):
        shapes.add((tuple(tokens.shape), state is None))
        return honest(tokens, state, how)

    asked(bulk(honest), watched, watched)
    assert len({rows for (rows, _), _ in shapes}) > 2 and len({length for (_, length), _ in shapes}) > 5
    assert {fresh for _, fresh in shapes} == {True, False}


def test_a_summary_of_a_fault_is_one_line():
    assert Sealed(3, 0.1, "text 1: x").summary() == "sealed scoring: text 1: x"
