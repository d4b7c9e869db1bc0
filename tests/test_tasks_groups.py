"""Group words: tables are groups of the known kind, a word's product is that of permutations applied in turn."""

import random
from itertools import permutations

import numpy as np
import pytest
from slowly import furthest, texts

from harness.data.abilities.groups import GROUPS, group_word, multiplication
from harness.errors import UsageError


def order_of(table, element):
    power, count = element, 1
    while power:
        power, count = table[power, element], count + 1
    return count


ORDERS = {              # how many elements there are of each order, from the groups' conjugacy classes
    "Z60": {n: sum(np.gcd(n, k) == 1 for k in range(1, n + 1)) for n in range(1, 61) if 60 % n == 0},
    "A4xZ5": {1: 1, 2: 3, 3: 8, 5: 4, 10: 12, 15: 32},
    "A5": {1: 1, 2: 15, 3: 20, 5: 24},
    "S5": {1: 1, 2: 25, 3: 20, 4: 30, 5: 24, 6: 20},
}


@pytest.mark.parametrize("group", GROUPS)
def test_the_table_is_the_group(group):
    """Identity 0, inverses, associativity, and as many elements of each order as the group has."""
    table = multiplication(group)
    n = len(table)
    assert (table[0] == np.arange(n)).all()
    assert (table[:, 0] == np.arange(n)).all()
    assert (np.sort(table, 1) == np.arange(n)).all()
    assert (table[table] == table[:, table]).all()          # (a b) c = a (b c)
    counts = {}
    for element in range(n):
        counts[order_of(table, element)] = counts.get(order_of(table, element), 0) + 1
    assert counts == ORDERS[group]


def test_only_the_first_two_commute():
    assert [bool((multiplication(group) == multiplication(group).T).all()) for group in GROUPS] == [True, *[False] * 3]


@pytest.mark.parametrize("group", ["A5", "S5"])
def test_a_product_is_what_permutations_do_to_five_things_in_turn(group):
    members = [p for p in permutations(range(5)) if group == "S5" or round(np.linalg.det(np.eye(5)[list(p)])) == 1]
    for text in texts(group_word, 10, group=group, length=12):
        ends = list(range(5))                               # where each thing is
        for element, product in zip(text.inputs, text.targets, strict=True):
            ends = [members[element][place] for place in ends]
            assert members[product] == tuple(ends)


@pytest.mark.parametrize("group", GROUPS)
def test_elements_are_uniform_and_independent(group):
    table = multiplication(group)
    n, generator = len(table), random.Random(3)
    there = []
    for _ in range(200):
        word, products = [generator.randrange(n) for _ in range(16)], [0]
        for element in word:
            products.append(table[products[-1]][element])
        there.append((word, products[1:]))
    assert furthest(texts(group_word, 200, group=group, length=16), there, n) < 5


def test_an_unknown_group_is_named():
    with pytest.raises(UsageError, match="group is one of Z60, A4xZ5, A5, S5, not 'Z61'"):
        multiplication("Z61")
