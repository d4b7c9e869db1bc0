"""What generation carries from call to call: a copy to begin with where it is written into, and its bytes in memory."""

from dataclasses import dataclass
from types import SimpleNamespace

import torch
from caches import Buffered
from torch import Tensor, nn

from harness.bench.continuation import beginning, held_bytes
from harness.model import LanguageModel


class Plain(LanguageModel):
    pass


def test_a_state_is_copied_to_begin_with_where_the_model_writes_into_it():
    state = {"seen": torch.zeros(1, 4)}
    assert beginning(Plain(None, 3), state) is state
    with torch.inference_mode():
        beginning(Buffered(3), state)["seen"].add_(1)
    assert not state["seen"].any()


@dataclass
class Cache:
    keys: Tensor
    inner: object = None


def test_memory_counts_once_and_whole_wherever_a_tensor_lies():
    block, other = torch.zeros(100), torch.zeros(10, dtype=torch.float64)
    assert held_bytes((block[:1], {"a": [block.view(10, 10)[3:], 7]}, None)) == 400
    cache = Cache(block[:0], SimpleNamespace(layers=[{3: other}]))
    cache.inner.back = cache                                # which ends all the same
    assert held_bytes([cache, (cache, "text")]) == 480


def test_weights_that_a_cache_can_reach_are_no_state():
    cache = Cache(torch.zeros(3), nn.Linear(9, 9))
    cache.code = torch                                      # nor is whatever hangs on a library
    assert held_bytes({"cache": cache}) == 12
