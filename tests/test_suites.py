"""Suites: each from the command line to the tables on a tiny model; a leak costs a model its score."""

import json
import statistics

import pytest

from harness import ByDocument, ByRound, load_results
from harness.evidence.statistics.optimum import optimum
from harness.registry import load
from harness.store import COLUMNS, Store

TINY = ("--params", "2k", "--batch-size", "16", "--budget", "6k", "--rounds", "5", "--corpus", "markov", "--json")


@pytest.fixture(scope="module")
def run(command, toy, tmp_path_factory):
    """Three commands into one directory: their outcomes, and the directory."""
    out = tmp_path_factory.mktemp("suites") / "a run"

    def go(*arguments):
        return command("run", "-p", toy, "--out", out, *TINY, *arguments)

    return [
        go("--suite", "perplexity,ladder,memory,kernels,audit,counts,anatomy,transfer", "--plugins", "toy",
           "--seq-len", "16"),
        go("--suite", "throughput,scaling", "--plugins", "toy,toy:dim=4", "--seq-len", "16,32"),
        go("--suite", "perplexity", "--plugins", "toy:fault=leak", "--seq-len", "16", "--lr", "3e-3", "--unaudited"),
        go("--suite", "recall", "--plugins", "toy", "--seq-len", "32"),
        go("--suite", "abilities", "--plugins", "toy", "--tasks", "compression"),
    ], out


@pytest.fixture(scope="module")
def table(run):
    return load_results(run[1])


def rows(table, suite, metric, **fields):
    honest = table["options"].fillna("") != "fault=leak"
    found = table[(table["suite"] == suite) & (table["metric"] == metric) & honest]
    for key, value in fields.items():
        found = found[found[key] == value]
    return found


def test_every_suite_is_run_to_its_end(run, table):
    outcomes, _ = run
    assert [outcome.returncode for outcome in outcomes] == [0, 0, 1, 0, 0], [outcome.stderr for outcome in outcomes]
    assert set(table["suite"]) == set(load().suites) - {"circuit"}      # which the toy has none of: test_circuit
    honest = table[table["options"].fillna("") != "fault=leak"]
    assert set(honest["status"]) == {"ok"}


def test_everything_is_on_disk_and_says_the_same(run, table):
    outcomes, out = run
    assert {path.name for path in out.iterdir()} >= {"cells", "manifest.json", "table.csv", "table.parquet"}
    assert tuple(table.columns) == COLUMNS
    manifest = json.loads((out / "manifest.json").read_text())
    assert len(manifest["commands"]) == 5
    assert set(table["run_id"]) == {manifest["run_id"]}
    (limits,) = manifest["limits"].values()
    assert limits["cpu"]["copy_bytes_per_s"] > 0
    printed = [json.loads(line) for outcome in outcomes for line in outcome.stdout.splitlines()]
    assert len(printed) == len(table)
    assert sorted(row["metric"] for row in printed) == sorted(table["metric"])
    assert {result.id for result in Store(out).results()} == set(table["cell_id"])


EXPECTED = {                                # suite -> metrics with (unit, better, phases)
    "perplexity": {
        "bits_per_byte": ("bits/byte", "lower", {"score"}), "excess_bits": ("bits/byte", "lower", {"score"}),
        "perplexity_per_byte": ("", "lower", {"score"}), "learning_curve": ("bits/byte", "lower", {"train"}),
        "tuning_trials": ("trials", "", {"train"}), "train_tokens_per_s": ("tokens/s", "higher", {"train"}),
        "lr_window_octaves": ("octaves", "higher", {"train"}), "train_flops": ("FLOP", "lower", {"train"}),
    },
    "memory": {
        "peak_bytes": ("B", "lower", {"train", "prefill", "decode"}), "weights_bytes": ("B", "lower", {""}),
        "state_bytes": ("B", "lower", {"decode"}), "gradients_optimizer_bytes": ("B", "lower", {"train"}),
        "activations_bytes": ("B", "lower", {"train"}),
    },
    "throughput": {
        "tokens_per_s": ("tokens/s", "higher", {"train", "prefill", "decode"}),
        "time_to_first_token_s": ("s", "lower", {"prefill"}), "latency_p95_s": ("s", "lower", {"decode"}),
        "time_ratio": ("x toy", "lower", {"train", "prefill", "decode"}),
        "noise_floor": ("x", "lower", {"train", "prefill", "decode"}),
    },
    "scaling": {
        "step_time_s": ("s", "lower", {"train"}), "peak_bytes": ("B", "lower", {"train"}),
        "exponent": ("T 16-32", "lower", {"train"}), "local_slope": ("from T=16", "lower", {"train"}),
        "crossover_length": ("tokens", "lower", {"train"}),
    },
    "recall": {
        "mqar_accuracy": ("", "higher", {"score"}), "needle_accuracy": ("", "higher", {"score"}),
        "mqar_accuracy@8": ("", "higher", {"score"}), "copy_accuracy@16": ("", "higher", {"score"}),
        "induction_accuracy@16": ("", "higher", {"score"}), "needle_accuracy@16": ("", "higher", {"score"}),
        "needle4_accuracy@8": ("", "higher", {"score"}), "mqar_chance": ("", "", {"score"}),
        "capacity": ("bits", "higher", {"score"}), "capacity_per_state_byte": ("bits/B", "higher", {"score"}),
        "persistence": ("tokens", "higher", {"score"}), "interference": ("accuracy lost", "lower", {"score"}),
        "state_rank": ("", "", {"score"}), "state_bytes_per_sequence": ("B", "lower", {"score"}),
        "tuning_trials": ("trials", "", {"train"}), "train_tokens_per_s": ("tokens/s", "higher", {"train"}),
    },
    "abilities": {
        "accuracy:compression": ("", "higher", {"score"}), "chance:compression": ("", "", {"score"}),
        "state_bytes:compression": ("B", "lower", {"score"}), "solved:compression": ("", "higher", {"score"}),
        "passes:compression": ("passes", "", {"train"}), "learning_rate:compression": ("", "", {"train"}),
    },
    "kernels": {
        "time_s:whole": ("s", "lower", {""}), "ratio_to_floor:whole": ("x", "lower", {""}),
        "speedup_over_published:whole": ("x", "higher", {""}), "harness_overhead": ("x", "lower", {"train"}),
        "peak_bytes:whole": ("B", "lower", {""}), "peak_reduction_over_published:whole": ("x", "higher", {""}),
    },
    "audit": {"split law": ("std", "lower", {""}), "suffix perturbation": ("std", "lower", {""}),
              "failed_checks": ("checks", "lower", {""})},
    "counts": {"total_parameters": ("", "lower", {""}), "vocabulary_parameters": ("", "lower", {""}),
               "body_parameters": ("", "lower", {""})},
    "anatomy": {"product_share": ("", "higher", {"train"}), "operators": ("calls", "lower", {"train"}),
                "trigonometric_calls": ("calls", "lower", {"train"})},
    "transfer": {"width": ("channels", "", {""}), "activation_rms@logits": ("", "", {"train"}),
                 "update_ratio@head": ("", "", {"train"}), "learning_rate": ("", "", {"train"})},
}


@pytest.mark.parametrize(("suite", "metric"), [(suite, metric) for suite in EXPECTED for metric in EXPECTED[suite]])
def test_metrics_have_unit_direction_and_phase(table, suite, metric):
    unit, better, phases = EXPECTED[suite][metric]
    found = rows(table, suite, metric)
    assert len(found)
    assert set(found["unit"].fillna("")) == {unit}
    assert set(found["better"].fillna("")) == {better}
    assert set(found["phase"].fillna("")) == phases
    assert (found["params"] > 0).all()


COMPARED = {                                # suite -> the metrics that `harness compare` sets side by side
    "perplexity": {"bits_per_byte"}, "throughput": {"tokens_per_s", "time_to_first_token_s"}, "audit": set(),
    "transfer": set(),
    "counts": {"total_parameters", "vocabulary_parameters", "body_parameters"},
    "anatomy": {"product_share", "operators", "trigonometric_calls"},
    "memory": {"peak_bytes", "weights_bytes", "gradients_optimizer_bytes", "activations_bytes",
               "state_bytes_per_sequence"},
    "scaling": {"step_time_s", "peak_bytes"}, "kernels": {"time_s", "ratio_to_floor", "speedup_over_published",
                                                          "harness_overhead", "peak_bytes",
                                                          "peak_reduction_over_published"},
    "abilities": {"accuracy", "state_bytes"},
    "recall": {"mqar_accuracy", "copy_accuracy", "induction_accuracy", "needle_accuracy", "needle4_accuracy",
               "capacity", "capacity_per_state_byte", "persistence", "interference", "state_bytes_per_sequence"},
}


@pytest.mark.parametrize("name", COMPARED)
def test_what_is_compared_has_a_direction_and_its_raw_measurements(run, name):
    """A score by document is its total over the documents' sizes; rounds are those of the row's median."""
    suite, found = load().suite(name), set()
    for result in Store(run[1]).results():
        for row in result.rows if result.cell["suite"] == name and result.ok else ():
            how = suite.compared(row)
            if how is None or row.better not in ("lower", "higher"):
                continue
            found.add(row.metric.partition("@")[0].partition(":")[0])
            if isinstance(how, ByDocument):
                values, sizes = (result.raw.get(key) for key in (how.key, how.size))
                assert row.value == pytest.approx(sum(values) / (sum(sizes) if how.size else len(values)))
            elif isinstance(how, ByRound):
                median = statistics.median(result.raw[how.key])
                scale = row.value * median if row.better == "higher" else row.value / median
                assert scale == pytest.approx(round(scale))         # 1, or the tokens of a round
    assert found == COMPARED[name]


def test_a_known_entropy_is_the_floor_of_the_score(table):
    (score,), (excess,) = (rows(table, "perplexity", m).to_dict("records") for m in ("bits_per_byte", "excess_bits"))
    assert score["limit_kind"] == "entropy"
    assert score["ci_low"] <= score["value"] <= score["ci_high"]
    assert score["value"] - score["limit"] == pytest.approx(excess["value"], abs=1e-6)
    assert excess["ci_high"] > 0
    assert len(score["corpus_sha256"]) == 64
    assert 6000 <= score["bytes_seen"] < 7000


@pytest.mark.parametrize(("name", "unit", "count"), [
    ("perplexity", "bits_per_byte", 10), ("recall", "bits_per_answer", 6)])
def test_a_search_is_a_ledger_that_tells_the_rate_again(run, table, name, unit, count):
    """As many trials as every plugin has, each of the whole of so small a budget; the rate follows from them."""
    (search,) = [result for result in Store(run[1]).results()
                 if result.cell["suite"] == name and result.cell["protocol"].get("role") == "search"]
    trials = [row for row in search.rows if row.metric.startswith(f"trial_{unit}@")]
    assert len(trials) == len(search.raw["trials"]) == count
    assert all(6000 <= row.bytes_seen < 7000 for row in trials)
    (rate,) = rows(table, name, "learning_rate", cell_id=search.id).to_dict("records")
    found = optimum([tuple(trial[:4]) for trial in search.raw["trials"]])
    assert rate["value"] == pytest.approx(found.lr) == search.raw["lr"]
    assert rows(table, name, "tuning_trials")["value"].item() == count


def test_the_operations_of_training_are_those_of_every_token_seen(table):
    """The toy states no count, so that six a parameter and token stand in; a token is a byte, or starts a document."""
    (flops,) = rows(table, "perplexity", "train_flops").to_dict("records")
    tokens = flops["value"] / (6 * flops["params"])
    assert tokens == round(tokens)
    assert flops["bytes_seen"] <= tokens < 1.1 * flops["bytes_seen"]
    assert flops["reason"] == "estimated from the parameters"


def test_a_leak_costs_the_score_and_says_where(run, table):
    leak = table[table["options"].fillna("") == "fault=leak"]
    (lost,) = leak[leak["metric"] == "bits_per_byte"].to_dict("records")
    assert lost["status"] == "audit_failed"
    assert lost["value"] != lost["value"]                           # there is none
    assert "suffix perturbation at length 16" in lost["reason"]
    assert "position" in lost["reason"]
    (apart,) = leak[leak["metric"] == "unaudited_bits_per_byte"].to_dict("records")
    assert apart["status"] == "audit_failed"
    assert apart["value"] > 0
    assert apart["reason"].startswith("not a score")


def test_rounding_that_a_model_amplifies_is_told_beside_its_score(command, toy, tmp_path):
    done = command("run", "-p", toy, "--out", tmp_path / "run", *TINY, "--suite", "perplexity", "--plugins",
                   "toy:fault=steep", "--seq-len", "64", "--lr", "3e-3")
    assert done.returncode == 0, done.stdout + done.stderr
    table = load_results(tmp_path / "run")
    (score,) = table[table["metric"] == "bits_per_byte"].to_dict("records")
    assert score["value"] > 0
    assert score["reason"].startswith("rounding at length 64: of float32 alone: split law within 0.")


def test_parameters_are_matched_save_where_the_width_is_given(table):
    matched = rows(table, "throughput", "tokens_per_s")
    assert set(matched[matched["options"].fillna("") == ""]["params"]) <= set(range(1900, 2100))
    assert len(set(matched["params"])) == 2


def test_the_state_is_measured(table):
    (state,) = rows(table, "memory", "state_bytes").to_dict("records")
    (sequence,) = rows(table, "memory", "state_bytes_per_sequence").to_dict("records")
    assert state["value"] == state["state_bytes"] == 16 * sequence["value"]
    assert state["value"] % (16 * 4) == 0                           # batch of 16, float32
    (weights,) = rows(table, "memory", "weights_bytes").to_dict("records")
    assert weights["value"] == 4 * (weights["params"] + weights["params_embedding"])


def test_values_stand_beside_the_limits_of_the_machine(table):
    speed = rows(table, "throughput", "tokens_per_s")
    assert set(speed[speed["phase"] == "decode"]["limit_kind"]) == {"bandwidth"}
    assert set(speed[speed["phase"] != "decode"]["limit_kind"]) == {"compute"}
    assert (speed["value"] < speed["limit"]).all()


def test_overlap_is_told_and_what_does_not_apply_is_no_failure(toy, command, tmp_path):
    """Documents far shorter than half a window have no late targets; their text is that of training, to the byte."""
    records = tmp_path / "records.jsonl"
    records.write_text("".join(json.dumps({"text": f"record {i:02} of twenty-five"}) + "\n" for i in range(40)))
    done = command("run", "-p", toy, "--suite", "perplexity", "--plugins", "toy", "--seq-len", "64", "--lr", "0.01",
                   "--corpus", f"file:{records}:heldout={records}", "--budget", "2k", "--device", "cpu",
                   "--out", tmp_path / "out", "--json")
    assert done.returncode == 0, done.stderr + done.stdout
    rows = {row["metric"]: row for row in map(json.loads, done.stdout.splitlines())}
    assert "100% of the held-out text also stands in the training text" in rows["bits_per_byte"]["reason"]
    assert "late_bits_per_byte" not in rows
    whole = rows["bits_per_byte"]["value"]
    parts = {name.partition("@")[2]: row for name, row in rows.items() if name.startswith("bits_per_byte@")}
    assert parts["unseen_13grams"]["value"] == pytest.approx(whole, rel=1e-12)
    assert "960 bytes, 100.0% of the text" in parts["unseen_13grams"]["reason"]
    assert {"position_0", "position_16-31", "word_rank_1-10", "between_words"} < set(parts)
    assert "position_32-63" not in parts and "word_unseen" not in parts
