"""lm-evaluation-harness with our weights: its likelihoods are our scores, its generation is ours, trouble is one line.

The tasks lie in lm_tasks, their texts in a file beside them; nothing is downloaded.
"""

import itertools
import json
import math
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from harness.bench.restored import restore
from harness.bench.score import score
from harness.checkpoint import open_checkpoint
from harness.commands import lm_eval as command_module
from harness.data.batches import score_batches
from harness.registry import load

TASKS = Path(__file__).with_name("lm_tasks")
TEXTS = [json.loads(line)["text"] for line in (TASKS / "letters.jsonl").read_text(encoding="utf-8").splitlines()]
needed = pytest.mark.skipif(not find_spec("lm_eval"), reason="lm_eval is not installed")


@pytest.fixture(scope="module")
def restored(trained):
    return restore(load(), open_checkpoint(str(trained)))


def bits_per_byte(restored, texts, window, stride=0):
    """Our own score."""
    documents = [restored.tokenizer.encode(text.encode()) for text in texts]
    batches = score_batches(documents, restored.tokenizer.bos, window, stride, 4)
    return score(restored.model, batches, token_bytes=restored.tokenizer.token_bytes)


def asked(*arguments):
    return SimpleNamespace(args=arguments)


def stepwise(restored, context, continuation):
    """The log-likelihood of a continuation, a token at a time, by the definition, in float64."""
    tokens = [restored.tokenizer.bos, *(context + continuation).encode()]
    total, greedy, state = 0.0, True, None
    with torch.no_grad():
        for place, (token, target) in enumerate(itertools.pairwise(tokens)):
            logits, state = restored.model(torch.tensor([[token]]), state)
            if place >= len(context.encode()):
                total += logits[0, 0].double().log_softmax(0)[target].item()
                greedy &= logits[0, 0].argmax().item() == target
    return total, greedy


@needed
@pytest.mark.parametrize(("window", "stride"), [(16, 0), (7, 3), (256, 0)])
def test_a_rolling_likelihood_is_our_score_of_the_same_text(restored, window, stride):
    from harness.bridges.lm_eval import TrainedLM

    found = TrainedLM(restored, window=window, stride=stride, batch_size=3).loglikelihood_rolling(
        [asked(text) for text in TEXTS])
    np.testing.assert_allclose(-np.array(found) / math.log(2), bits_per_byte(restored, TEXTS, window, stride).bits,
                               rtol=1e-6)


@needed
def test_a_likelihood_is_the_one_of_reading_token_by_token(restored, monkeypatch):
    from harness.bridges import lm_eval

    monkeypatch.setattr(lm_eval, "PREFILL", 5)              # pieces of a text are joined by the state
    pairs = [("alpha", " beta of"), ("", "of"), ("of the ", "of"), ("naïve", " –"), ("a", ""), ("", "")]
    found = lm_eval.TrainedLM(restored, batch_size=4).loglikelihood([asked(*pair) for pair in pairs])
    for (context, continuation), (value, greedy) in zip(pairs, found, strict=True):
        spaces = len(context) - len(context.rstrip())       # which lm_eval counts to the continuation
        context, continuation = context[:len(context) - spaces], context[len(context) - spaces:] + continuation
        expected, likeliest = stepwise(restored, context, continuation)
        assert value == pytest.approx(expected, abs=1e-4)
        assert greedy == likeliest


@needed
def test_generation_is_the_likeliest_text_before_the_first_stop(restored):
    from harness.bridges.lm_eval import TrainedLM, before_any

    model, prompt = TrainedLM(restored), "alpha beta of "
    text, = model.generate_until([asked(prompt, {"until": [], "max_gen_toks": 12})])
    expected = ""
    with torch.no_grad():
        for _ in range(12):
            read = torch.tensor([[restored.tokenizer.bos, *(prompt + expected).encode()]])
            expected += chr(restored.model(read)[0][0, -1].argmax())
    assert text == expected
    cut, = model.generate_until([asked(prompt, {"until": [text[3:5], "zzz"], "max_gen_toks": 12})])
    assert cut == text[:text.index(text[3:5])]
    assert before_any(iter(["ab", "cd", "never"]), ["bc", "a~"]) == "a"
    draws = {"do_sample": True, "temperature": 1.0, "max_gen_toks": 12}
    assert model.generate_until([asked(prompt, draws)]) == model.generate_until([asked(prompt, draws)])


@needed
def test_the_command_runs_tasks_of_a_folder(trained, restored, invoke, monkeypatch, tmp_path):
    monkeypatch.chdir(TASKS)
    code, out, _ = invoke("lm-eval", trained, "--tasks", "letters_rolling,letters_choice,letters_generate",
                          "--include-path", TASKS, "-o", tmp_path / "found.json", "--json", "--device", "cpu")
    found = {(line["task"], line["metric"]): line for line in map(json.loads, out.splitlines())}
    assert code == 0
    assert found["letters_rolling", "bits_per_byte"]["value"] == pytest.approx(
        bits_per_byte(restored, TEXTS, 16).bits_per_byte, rel=1e-6)
    assert found["letters_rolling", "bits_per_byte"]["better"] == "lower"
    assert found["letters_choice", "acc"]["value"] == np.mean(
        [stepwise(restored, text, " alpha")[0] > stepwise(restored, text, " zzzzz")[0] for text in TEXTS])
    assert found["letters_generate", "exact_match"]["samples"] == len(TEXTS)
    assert json.loads((tmp_path / "found.json").read_text())["results"]["letters_choice"]["alias"] == "letters_choice"


@needed
@pytest.mark.parametrize(("tasks", "code", "reason"), [
    ("letters_roling", 2, "unknown task 'letters_roling'; did you mean 'letters_rolling'?"),
    ("letters_lost", 1, "lm_eval cannot run letters_lost: "), (",", 2, "--tasks names no task")])
def test_a_task_that_is_not_there_is_one_line(trained, invoke, monkeypatch, tmp_path, tasks, code, reason):
    """In a folder without the file that a task reads; the thousands of tasks that come with the package are left out.
    """
    from lm_eval import tasks as package

    known = package.TaskManager
    monkeypatch.setattr(package, "TaskManager", lambda **asked: known(**asked | {"include_defaults": False}))
    for path in TASKS.glob("*.yaml"):
        (tmp_path / path.name).write_text(path.read_text())
    (tmp_path / "lost.yaml").write_text((TASKS / "rolling.yaml").read_text().replace("letters_rolling", "letters_lost")
                                        .replace("letters.jsonl", "gone.jsonl"))
    found, out, err = invoke("lm-eval", trained, "--tasks", tasks, "--include-path", tmp_path, "--device", "cpu")
    assert (found, out) == (code, "")
    assert reason in err.splitlines()[-1]
    assert "Traceback" not in err


def test_without_the_package_a_line_names_the_extra(trained, invoke, monkeypatch):
    monkeypatch.setattr(command_module, "find_spec", lambda name: None)
    assert invoke("lm-eval", trained, "--tasks", "x") == (
        3, "", "harness: lm-eval needs the package lm_eval: pip install 'qllm-harness[lm-eval]'\n")


@pytest.mark.parametrize(("arguments", "code", "reason"), [
    (("nowhere", "--tasks", "x"), 4, "no checkpoint at nowhere"),
    (("RUN", "--tasks", "x", "-o", "a.csv"), 2, "must name a .json file"),
    (("RUN", "--tasks", "x", "--include-path", "nowhere"), 4, "--include-path nowhere is no folder"),
])
def test_flags_that_cannot_be_met_are_one_line(trained, invoke, monkeypatch, arguments, code, reason):
    monkeypatch.setattr(command_module, "find_spec", lambda name: sys)
    found, out, err = invoke("lm-eval", *(trained if word == "RUN" else word for word in arguments))
    assert (found, out, err.count("\n")) == (code, "", 1)
    assert reason in err
