"""Ledger: every scored target is as likely to be remembered as any other, and the bound is the binomial's."""

import numpy as np
import pytest
import torch

from harness.referee.ledger import CALLS, Ledger, everywhere, unseen_share

B, T, V = 3, 10, 4


def noted(ledger, batches, scored=None, targets=None):
    for number in range(batches):
        tokens = torch.full((B, T), number) * 100 + torch.arange(B * T).reshape(B, T)
        logits = tokens[..., None].float().expand(B, T, V)
        ledger.note(tokens, logits, everywhere(tokens) if scored is None else scored,
                    [f"batch {number}, row {row}" for row in range(B)], targets)


def test_a_place_holds_the_text_and_the_logits_of_its_row():
    ledger, targets = Ledger(most=50), torch.arange(B * T).reshape(B, T) + 1
    noted(ledger, 5, targets=targets)
    assert len(ledger.places) == 50
    for place in ledger.places:
        number, row = (int(word) for word in place.where.replace("batch ", "").replace("row ", "").split(", "))
        index = row * T + place.at
        assert place.logits.tolist() == [100.0 * number + index] * V
        assert place.tokens[place.at] == 100 * number + index
        assert place.target == index + 1


def test_only_scored_targets_are_drawn_all_of_them_where_they_are_few():
    scored = torch.zeros(B, T, dtype=torch.bool)
    scored[1, 3:5] = scored[2, 9] = True
    ledger = Ledger(most=100)
    noted(ledger, 4, scored)
    assert ledger.seen == len(ledger.places) == 12
    assert {place.at for place in ledger.places} == {3, 4, 9}


def test_every_target_is_as_likely_whether_it_comes_early_or_late():
    counts, trials, batches, most = np.zeros(120), 400, 4, 30
    for trial in range(trials):
        ledger = Ledger(most=most, secret=np.random.default_rng(trial))
        noted(ledger, batches)
        for place in ledger.places:
            counts[int(place.logits[0]) // 100 * 30 + int(place.logits[0]) % 100] += 1
    assert counts.sum() == trials * most
    share = most / 120
    assert (abs(counts - trials * share) / (trials * share * (1 - share)) ** 0.5).max() < 4.5      # of 120 places


def test_two_ledgers_draw_otherwise():
    first, second = Ledger(most=5), Ledger(most=5)
    for ledger in (first, second):
        noted(ledger, 20)
    assert [p.where for p in first.places] != [p.where for p in second.places]


def test_of_calls_with_a_state_a_few_are_kept_whole_and_late_ones_too():
    seen = set()
    for trial in range(30):
        ledger = Ledger(secret=np.random.default_rng(trial))
        for number in range(40):
            ledger.note_call(torch.full((1, 1), number), {"h": number}, torch.zeros(1, 1, V))
        assert len(ledger.calls) == CALLS
        assert all(call.state == {"h": int(call.tokens)} for call in ledger.calls)
        seen |= {int(call.tokens) for call in ledger.calls}
    assert len(seen) > 35


@pytest.mark.parametrize("places", [1, 10, 64, 512])
def test_the_bound_is_the_share_that_would_go_unseen_once_in_a_hundred_times(places):
    assert (1 - unseen_share(places)) ** places == pytest.approx(0.01)     # of none in `places`
    assert unseen_share(places) < 4.61 / places


def test_who_asked_nothing_has_seen_nothing():
    assert unseen_share(0) == 1.0
