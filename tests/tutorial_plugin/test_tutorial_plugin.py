"""Tutorial keeps the law: splitting a text anywhere changes no logit."""

import torch
from tutorial_plugin import Config
from tutorial_plugin.model import Tutorial


def test_splitting_a_text_changes_nothing():
    model = Tutorial(Config(dim=16), vocab_size=11).eval()
    tokens = torch.randint(11, (2, 12))
    whole, _ = model(tokens)
    first, state = model(tokens[:, :5])
    rest, _ = model(tokens[:, 5:], state)
    torch.testing.assert_close(torch.cat([first, rest], dim=1), whole)
