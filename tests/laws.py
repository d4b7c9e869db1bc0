"""The two laws of every language model: a text may be cut anywhere, and a token changes only what follows it."""

import torch


def in_pieces(model, text, cuts, state=None):
    """Logits of the whole text, read in pieces that end at `cuts`, and the state after the last."""
    pieces = []
    for start, end in zip([0, *cuts], [*cuts, text.shape[1]], strict=True):
        logits, state = model(text[:, start:end], state)
        pieces.append(logits)
    return torch.cat(pieces, dim=1), state


def assert_a_token_changes_only_what_follows_it(model, text, at=20):
    """And reaches everything that follows, so that what is compared before it could have changed."""
    other = text.clone()
    other[:, at] = (other[:, at] + 1) % model.vocab_size
    before, after = model(text)[0], model(other)[0]
    assert torch.equal(before[:, :at], after[:, :at])
    assert (before[:, at:] - after[:, at:]).abs().amax(-1).min() > 0
