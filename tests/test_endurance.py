"""Endurance: killed at random instants, a run goes on to the table that it would have had (`make endurance`: 100)."""

import random
import sys

import pytest
from endurance import Campaign

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are found through /proc")


def test_kills_of_a_worker_a_server_and_a_node_lose_nothing(tmp_path):
    campaign = Campaign(tmp_path, random.Random(0), seeds=1, longest=0.3)
    campaign.disturb(("worker", "server", "node"), sharded=True)
    assert campaign.told["worker"]
    if not campaign.told["completed"]:
        campaign.complete()
