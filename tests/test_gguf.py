"""GGUF: every type is read as the library reads it, exports rebuild their model, and bad files are one clear line."""

import csv
import json
import random
import struct

import numpy as np
import pytest
from typer.testing import CliRunner

from harness.checkpoint import BEST, open_checkpoint
from harness.cli import app
from harness.errors import FileError, HarnessError, PluginError, Unsupported
from harness.gguf import file as gguf_file
from harness.gguf.file import GGUFTensor, read_gguf, require_gguf, write_gguf

gguf = pytest.importorskip("gguf")
TYPES = gguf.GGMLQuantizationType
SMALL = "baseline:layers=1:dim=32:heads=2"
TRAINING = ("--params", "12k", "--seq-len", "32", "--batch-size", "8", "--lr", "0.01", "--dtype", "float32",
            "--device", "cpu")


def library_file(path, tensors, **texts):
    """A file as the library writes it: name -> (matrix, type), or blocks of bytes already packed."""
    writer = gguf.GGUFWriter(path, "llama")
    for key, text in texts.items():
        writer.add_string(f"harness.{key}", text)
    writer.add_array("tokenizer.ggml.tokens", ["a", "bc", "é"])
    writer.add_array("some.numbers", [1, 2, 3])
    for name, (values, kind) in tensors.items():
        packed = values if values.dtype == np.uint8 else gguf.quantize(values, kind)
        writer.add_tensor(name, packed, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def weights(rows=64, columns=64, seed=0):
    return np.random.default_rng(seed).standard_normal((rows, columns)).astype(np.float32)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory):
    return library_file(tmp_path_factory.mktemp("gguf") / "tiny.gguf", {
        "blk.0.attn_q.weight": (weights(64, 96), TYPES.Q8_0), "blk.0.ffn.weight": (weights(96, 64, 1), TYPES.F16),
        "norm.weight": (weights(1, 64)[0], TYPES.F32), "small.weight": (weights(8, 32, 2), TYPES.F32),
    })


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A trained run of a model whose matrices have rows of whole blocks."""
    folder = tmp_path_factory.mktemp("run")
    draw = random.Random(0)
    (folder / "words.txt").write_text("\n\n".join(
        " ".join(draw.choices(["alpha", "beta", "of", "the"], k=200)) for _ in range(40)))
    done = invoke("train", SMALL, *TRAINING, "--corpus", f"file:{folder / 'words.txt'}", "--bytes", "60k",
                  "--out", folder / "run")
    assert done.exit_code == 0, done.output
    return folder / "run"


def invoke(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


def refused(kind, reason, *arguments):
    done = invoke(*arguments)
    assert isinstance(done.exception, HarnessError), done.output
    assert done.exception.exit_code == kind
    assert reason in str(done.exception)
    assert "\n" not in str(done.exception)


@pytest.mark.parametrize(("kind", "error"), [
    ("F32", 0), ("F16", 1e-3), ("BF16", 5e-3), ("Q8_0", 0.01), ("Q5_1", 0.06), ("Q5_0", 0.06), ("Q4_1", 0.12),
    ("Q4_0", 0.12),
])
def test_a_matrix_comes_back_as_near_as_its_type_allows(tmp_path, kind, error):
    matrix = weights(48, 64)
    file = read_gguf(library_file(tmp_path / "a.gguf", {"w": (matrix, TYPES[kind])}))
    found = file.read("w")
    assert (file.tensors["w"].type, file.tensors["w"].shape) == (kind, (48, 64))
    np.testing.assert_array_equal(found, gguf.dequantize(gguf.quantize(matrix, TYPES[kind]), TYPES[kind]))
    assert np.linalg.norm(found - matrix) <= error * np.linalg.norm(matrix)


@pytest.mark.parametrize("kind", ["Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K", "IQ4_XS", "TQ1_0"])
def test_types_that_the_library_only_unpacks_are_read(tmp_path, kind):
    """Random blocks: what they unpack to is the library's word."""
    block, width = gguf.GGML_QUANT_SIZES[TYPES[kind]]
    blocks = np.random.default_rng(0).integers(0, 100, (4, 2 * width), dtype=np.uint8)
    found = read_gguf(library_file(tmp_path / "k.gguf", {"w": (blocks, TYPES[kind])})).read("w")
    assert found.shape == (4, 2 * block)
    np.testing.assert_array_equal(found, gguf.dequantize(blocks, TYPES[kind]))


def test_the_library_reads_what_is_written(tmp_path):
    tensors = {"m": weights(6, 64), "odd": weights(3, 7), "v": weights(1, 5)[0], "count": np.arange(3),
               "one": np.array(2.5)}
    types = write_gguf(tmp_path / "w.gguf", tensors, {"harness.config": "text = 'é'"}, "q8_0")
    assert types == {"m": "Q8_0", "odd": "F32", "v": "F32", "count": "I64", "one": "F32"}
    theirs = {tensor.name: tensor for tensor in gguf.GGUFReader(tmp_path / "w.gguf").tensors}
    ours = read_gguf(tmp_path / "w.gguf")
    assert ours.metadata["harness.config"] == "text = 'é'"
    assert list(tmp_path.iterdir()) == [tmp_path / "w.gguf"]
    for name, values in tensors.items():
        np.testing.assert_array_equal(ours.read(name), gguf.dequantize(theirs[name].data, theirs[name].tensor_type)
                                      if name == "m" else theirs[name].data)
        np.testing.assert_allclose(ours.read(name), np.atleast_1d(values), atol=0.02)
    assert ours.tensors["count"].integer


def test_a_table_of_every_matrix_with_its_errors(tiny, tmp_path):
    done = invoke("gguf-import", tiny, "--into", "quantum", "--rank", 16, "--bits", 10, "--json", "-o",
                  tmp_path / "t.csv")
    assert done.exit_code == 0, done.output
    rows = {row["tensor"]: row for row in map(json.loads, done.output.splitlines())}
    q = rows["blk.0.attn_q.weight"]
    matrix = gguf.dequantize(gguf.quantize(weights(64, 96), TYPES.Q8_0), TYPES.Q8_0).astype(np.float64)
    lost = np.sqrt((np.linalg.svd(matrix, compute_uv=False)[16:] ** 2).sum()) / np.linalg.norm(matrix)
    assert (q["type"], q["shape"], q["rank"], q["status"]) == ("Q8_0", [64, 96], 16, "ok")
    assert q["numbers"] == (64 + 96) * 16 - 16 * 17 + 16
    assert q["stored_bits"] == 10 * q["numbers"] + 32
    assert lost < q["relative_error"] < lost + 1e-3
    assert q["svd_rank"] == q["stored_bits"] // ((64 + 96) * 10 + 32)
    assert q["svd_relative_error"] > q["relative_error"]
    assert 0.999 < q["fidelity"] <= 1
    assert rows["small.weight"]["rank"] == 8                                        # all that it has
    assert rows["norm.weight"]["status"] == "kept"
    with (tmp_path / "t.csv").open() as file:
        assert [row["tensor"] for row in csv.DictReader(file)] == list(rows)
    shown = invoke("gguf-import", tiny, "--into", "quantum", "--tensor", "blk.0.ffn.weight").output
    assert "blk.0.ffn.weight" in shown
    assert "F16" in shown
    assert "attn_q" not in shown


def test_a_large_matrix_takes_seconds(tmp_path):
    path = library_file(tmp_path / "large.gguf", {"w": (weights(3072, 2048), TYPES.F16)})
    row = json.loads(invoke("gguf-import", path, "--into", "quantum", "--json").output)
    assert row["seconds"] < 20
    assert 0.9 < row["relative_error"] < row["svd_relative_error"] < 1


def test_an_unsupported_type_is_a_row_and_not_an_end(tmp_path):
    """One that the library has no code for, one that it has never heard of (wherever it says it lies), and NaN."""
    spoilt = weights(32, 32)
    spoilt[3, 4] = np.nan
    blocks = np.zeros((32, 292), dtype=np.uint8)
    path = library_file(tmp_path / "u.gguf", {
        "strange": (weights(32, 32), TYPES.F32), "q8k": (blocks, TYPES.Q8_K), "nan": (spoilt, TYPES.F32),
        "good": (weights(32, 32), TYPES.F32)})
    data = path.read_bytes()
    entry = data.index(b"strange") + len("strange") + 4 + 16
    path.write_bytes(data[:entry] + struct.pack("<IQ", 250, (1 << 64) - 32) + data[entry + 12:])
    done = invoke("gguf-import", path, "--into", "quantum", "--json")
    rows = {row["tensor"]: row for row in map(json.loads, done.output.splitlines())}
    assert done.exit_code == 1
    assert {name: row["status"] for name, row in rows.items()} == {
        "strange": "unsupported", "q8k": "unsupported", "nan": "error", "good": "ok"}
    assert "type 250" in rows["strange"]["reason"]
    assert "Q8_K" in rows["q8k"]["reason"]
    assert "unsupported: the package gguf does not know type 250" in invoke(
        "gguf-import", path, "--into", "quantum").output


@pytest.mark.parametrize(("arguments", "code", "reason"), [
    (["--tensor", "blk.0.attn_k.weight"], 2, "did you mean 'blk.0.attn_q.weight'"),
    (["--tensor", "norm.weight"], 2, "norm.weight holds no matrix"),
    (["--rank", "0"], 2, "--rank must be between 1 and 64"),
    (["--rank", "65"], 2, "--rank must be between 1 and 64"),
    (["--bits", "1"], 2, "--bits must be between 2 and 52"),
    (["--bits", "53"], 2, "--bits must be between 2 and 52"),
    (["--into", "quantm"], 2, "did you mean 'quantum'"),
    (["-o", "table.txt"], 2, "-o must name a .csv or .jsonl file"),
    (["--score-bytes", "much"], 2, "--score-bytes must be a number"),
])
def test_an_impossible_request_is_one_line(tiny, arguments, code, reason):
    refused(code, reason, "gguf-import", tiny, "--into", "quantum", *arguments)


@pytest.mark.parametrize(("spoil", "reason"), [
    (lambda data: data[:-1], "is truncated: it ends in tensor"),
    (lambda data: data[:200], "is truncated: it ends in its header"),
    (lambda data: data[:6], "is truncated"),
    (lambda data: b"", "is not a GGUF file"),
    (lambda data: b"PK\x03\x04" + data[4:], "is not a GGUF file"),
    (lambda data: data[:4] + struct.pack("<I", 1) + data[8:], "has GGUF version 1"),
    (lambda data: data[:8] + struct.pack("<Q", 1 << 60) + data[16:], "is "),
    (lambda data: data.replace(b"blk.0.ffn", b"blk.0.\xff\xfen"), "is corrupt"),
])
def test_a_broken_file_is_one_line(tiny, tmp_path, spoil, reason):
    (tmp_path / "broken.gguf").write_bytes(spoil(tiny.read_bytes()))
    refused(4, reason, "gguf-import", tmp_path / "broken.gguf", "--into", "quantum")


def test_a_missing_file_package_or_type_is_one_line(tmp_path, run, monkeypatch):
    refused(4, "cannot read", "gguf-import", tmp_path / "none.gguf", "--into", "quantum")
    refused(4, "no checkpoint at", "gguf-export", tmp_path / "none")
    refused(2, "--type must be one of", "gguf-export", run, "--type", "q2_k")
    refused(4, "cannot write", "gguf-export", run, "-o", tmp_path / "no" / "folder.gguf")
    monkeypatch.setattr(gguf_file, "find_spec", lambda name: None)
    with pytest.raises(PluginError, match=r"qllm-harness\[gguf\]"):
        require_gguf()


def test_rows_that_are_no_whole_blocks_are_told():
    with pytest.raises(Unsupported, match="no whole blocks of Q8_0"):
        _ = GGUFTensor("w", (4, 40), TYPES.Q8_0, 0).size


def test_an_export_rebuilds_its_model_and_scores_it(run, tmp_path):
    """F32 at full rank and many bits scores as the checkpoint does; rank 4 does not, and its change is paired."""
    from harness.bench.weights import read_tensors

    path = tmp_path / "m.gguf"
    assert "F32" in invoke("gguf-export", run, "-o", path).output
    stored = read_tensors(run / BEST)
    for name in (file := read_gguf(path)).tensors:
        np.testing.assert_array_equal(file.read(name), stored[f"model.{name}"].numpy())

    def scores(*arguments):
        done = invoke("gguf-import", path, "--into", "quantum", "--json", "--score-bytes", "8k", *arguments)
        assert done.exit_code == 0, done.output
        lines = [json.loads(line) for line in done.output.splitlines()]
        return [line for line in lines if line["kind"] == "score"]

    original, code, _ = scores("--rank", 32, "--bits", 40)
    assert 0 < original["value"]["value"] < 3                                       # 8 bits a byte know nothing
    assert code["against_file"]["value"] == pytest.approx(0, abs=1e-4)
    original, code, control = scores("--rank", 4, "--bits", 8)
    assert code["against_file"]["value"] == pytest.approx(code["value"]["value"] - original["value"]["value"])
    assert code["against_file"]["low"] > 0.05
    assert code["against_svd"]["value"] == pytest.approx(code["value"]["value"] - control["value"]["value"])
    shown = invoke("gguf-import", path, "--into", "quantum", "--rank", "4", "--score-bytes", "2k").output
    for words in ("as in the file", "quantum", "truncated SVD", "bits/byte"):
        assert words in shown


def test_the_score_is_that_of_the_checkpoint(run, tmp_path):
    from harness.bench.score import score
    from harness.bench.weights import build_trained
    from harness.data.tokenizers import Bytes
    from harness.gguf.rebuilt import Rebuilt, exported_config
    from harness.registry import load

    path = run / BEST.replace("safetensors", "gguf")
    assert invoke("gguf-export", run, "--type", "f16").exit_code == 0
    assert set(gguf_types(path)) == {"F16", "F32"}
    invoke("gguf-export", run, "-o", path)
    registry = load()
    rebuilt = Rebuilt(registry, read_gguf(path), exported_config(read_gguf(path)), 2000)
    model = build_trained(registry.models["baseline"], open_checkpoint(str(run)), Bytes()).model
    expected = score(model, rebuilt.batches, token_bytes=Bytes().token_bytes)
    assert rebuilt.score({}).bits_per_byte == expected.bits_per_byte


def gguf_types(path):
    return [tensor.type for tensor in read_gguf(path).tensors.values()]


@pytest.mark.parametrize(("spoil", "reason"), [
    (lambda text: text.replace('plugin = "baseline"', 'plugin = "gone"'), "trained 'gone', which is not registered"),
    (lambda text: text.replace("words.txt", "other.txt"), "other.txt"),
    (lambda text: text.replace('corpus_sha256 = "', 'corpus_sha256 = "0'), "was trained on another"),
    (lambda text: text.replace('vocabulary = "', 'vocabulary = "0'), "lacks what its tokenizer has learned"),
    (lambda text: text[:40], "is corrupt"),
])
def test_an_export_that_cannot_be_scored_says_why_beside_its_table(run, tmp_path, spoil, reason):
    from harness.gguf.rebuilt import exported

    tensors, metadata = exported(open_checkpoint(str(run)))
    write_gguf(tmp_path / "x.gguf", tensors, {"harness.config": spoil(metadata["harness.config"])}, "f32")
    done = invoke("gguf-import", tmp_path / "x.gguf", "--into", "quantum", "--json")
    assert done.exit_code == 1
    *rows, last = map(json.loads, done.output.splitlines())
    assert all(row["status"] in ("ok", "kept") for row in rows)
    assert reason in last["reason"]


def test_weights_that_peek_are_not_scored(run, tmp_path, monkeypatch):
    """The gate: a model that fails the audit gives no bits per byte."""
    from harness.audit.findings import AuditReport, Finding
    from harness.gguf import rebuilt

    path = tmp_path / "leak.gguf"
    invoke("gguf-export", run, "-o", path)
    failed = AuditReport((Finding("split law", False, 32),))
    monkeypatch.setattr(rebuilt, "audit", lambda model, lengths: failed)
    done = invoke("gguf-import", path, "--into", "quantum", "--json")
    assert done.exit_code == 1
    assert "these weights fail the audit" in json.loads(done.output.splitlines()[-1])["reason"]


def test_what_a_tokenizer_learned_travels_along(run, tmp_path):
    """A morphological run exported and imported: its vocabulary is in the file."""
    out = tmp_path / "morph"
    done = invoke("train", SMALL, *TRAINING, "--tokenizer", "morphological:roots=20",
                  "--corpus", f"file:{run.parent / 'words.txt'}", "--bytes", "10k", "--out", out)
    assert done.exit_code == 0, done.output
    invoke("gguf-export", out, "-o", tmp_path / "m.gguf")
    done = invoke("gguf-import", tmp_path / "m.gguf", "--into", "quantum", "--json", "--score-bytes", "1k")
    assert done.exit_code == 0, done.output
    assert "value" in json.loads(done.output.splitlines()[-1])


def test_a_plugin_brings_a_code_of_its_own(tiny, plugin):
    """The hook: what its code gives back is what is compared."""
    file = plugin("halves.py", """
from harness import EncodedMatrix, EncodingSpec, hookimpl


def encode(matrix, factors, bits):
    return EncodedMatrix(matrix / 2, len(factors[1]), 5000, 0.25, {"depth": bits})


@hookimpl
def harness_encodings():
    return [EncodingSpec("halves", f"{__name__}:encode", "half of everything", "singular values")]
""")
    arguments = ("gguf-import", tiny, "--into", "halves", "-p", file, "--tensor", "small.weight", "--rank", 8)
    row = json.loads(invoke(*arguments, "--json").output)
    assert (row["relative_error"], row["numbers"], row["fidelity"], row["depth"]) == (0.5, 8, 0.25, 10)
    assert "half of everything; rank 8, singular values of 10 bits" in invoke(*arguments).output


def test_a_file_that_vanishes_meanwhile_is_one_line(tiny, tmp_path):
    path = tmp_path / "short.gguf"
    path.write_bytes(tiny.read_bytes())
    file = read_gguf(path)
    path.write_bytes(path.read_bytes()[:-64])
    with pytest.raises(FileError, match="truncated"):
        file.read("small.weight")


def rewritten(path, old, new):
    """The file with a string of its metadata replaced by bytes of the same length."""
    data = path.read_bytes()
    assert data.count(old) == 1 and len(old) == len(new)
    path.write_bytes(data.replace(old, new))
    return path


def test_a_token_that_is_not_utf8_is_read_as_the_library_reads_the_file(tiny, tmp_path):
    path = tmp_path / "raw.gguf"
    path.write_bytes(tiny.read_bytes())
    rewritten(path, struct.pack("<Q", 2) + "é".encode(), struct.pack("<Q", 2) + b"\xff\xfe")
    assert len(gguf.GGUFReader(path).tensors) == 4
    opened = read_gguf(path)
    assert opened.metadata["tokenizer.ggml.tokens"] == ["a", "bc", "\\xff\\xfe"]
    assert opened.read("norm.weight").tolist() == weights(1, 64)[0].tolist()


def test_a_part_of_a_split_file_is_not_taken_for_the_whole(tmp_path):
    writer = gguf.GGUFWriter(tmp_path / "model-00002-of-00003.gguf", "llama")
    writer.add_uint16("split.count", 3)
    writer.add_uint16("split.no", 1)
    writer.add_tensor("w", weights())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with pytest.raises(FileError, match="one of 3 parts of a model; merge them first"):
        read_gguf(tmp_path / "model-00002-of-00003.gguf")


@pytest.mark.parametrize("depth", [20, 2000, 100_000])
def test_metadata_nested_without_end_is_refused(tmp_path, depth):
    """Arrays of one array each: kind 9, then (inner kind, count) of every level."""
    key = b"deep"
    header = b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + struct.pack("<Q", len(key)) + key + struct.pack("<I", 9)
    path = tmp_path / "deep.gguf"
    path.write_bytes(header + struct.pack("<IQ", 9, 1) * depth + struct.pack("<IQB", 0, 1, 7))
    with pytest.raises(FileError, match="nested more than 8 deep"):
        read_gguf(path)


@pytest.mark.parametrize("scale", [1e-310, 1e-200, 1e-30, 1.0, 1e200, 4e307])
def test_an_error_is_relative_whatever_the_scale(tmp_path, scale):
    """A matrix times a number has the relative error of the matrix, up to the least and the largest float64."""
    path = tmp_path / "scaled.gguf"
    matrix = np.random.default_rng(3).standard_normal((24, 32))
    library_file(path, {"w": ((matrix * scale).astype("<f8").view(np.uint8).reshape(24, -1), TYPES.F64)})
    from harness.gguf.encoding import encode_all
    from harness.registry import load

    [(record, _)] = encode_all(read_gguf(path), ["w"], load().encodings["quantum"], rank=4, bits=10)
    left = np.linalg.svd(matrix, compute_uv=False)
    least = np.sqrt((left[4:] ** 2).sum() / (left**2).sum())
    assert least <= record.svd_relative_error * 1.0001
    assert least <= record.relative_error * 1.0001 < 1


def test_a_tensors_name_is_neither_markup_nor_a_formula(tmp_path):
    names = ["enc[conv].weight", '=HYPERLINK("x")', "[/red]"]
    path = library_file(tmp_path / "names.gguf", {name: (weights(), TYPES.F32) for name in names})
    out = tmp_path / "t.csv"
    done = CliRunner().invoke(app, ["gguf-import", str(path), "--into", "quantum", "-o", str(out)])
    assert done.exit_code == 0, done.output
    assert all(name in done.output for name in names)
    with out.open(newline="") as file:
        assert [row["tensor"] for row in csv.DictReader(file)] == [names[0], "'" + names[1], names[2]]
