"""The corpora and tokenizers that come with the harness. Cheap: imports nothing heavy. (no torch)"""

from __future__ import annotations

from ..hookspecs import hookimpl
from ..specs import CorpusSpec, TokenizerSpec

_DATA = "harness.data"


@hookimpl
def harness_corpora() -> list[CorpusSpec]:
    return [
        CorpusSpec("pydoc", f"{_DATA}.corpora:pydoc", "English reference text inside every CPython, 0.45 MB (default)"),
        CorpusSpec("docstrings", f"{_DATA}.installed:docstrings",
                   "English documentation inside torch, sympy, numpy, pandas and networkx, 15 MB",
                   requires=("torch", "sympy", "numpy", "pandas", "networkx")),
        CorpusSpec("stdlib", f"{_DATA}.installed:stdlib", "Python source of the standard library, 9.6 MB"),
        CorpusSpec("markov", f"{_DATA}.sources:markov", "Markov chain over 16 letters, exact entropy rate, 1.3 MB",
                   fixed=True),
        CorpusSpec("hmm", f"{_DATA}.sources:hmm", "hidden Markov chain over 8 letters, exact entropy rate, 1.3 MB",
                   fixed=True),
        CorpusSpec("copy", f"{_DATA}.sources:copy", "random blocks, each repeated once, exact entropy rate, 1.3 MB",
                   fixed=True),
        CorpusSpec("file", f"{_DATA}.files:file", "text, JSON lines, Parquet, or a folder with train.txt and test.txt",
                   argument="PATH"),
        CorpusSpec("hf", f"{_DATA}.hub:hf", "wikitext2, tinystories, c4 or fineweb from the Hugging Face hub, pinned",
                   argument="NAME", requires=("datasets",), extra="hf", fixed=True),
    ]


@hookimpl
def harness_tokenizers() -> list[TokenizerSpec]:
    return [
        TokenizerSpec("bytes", f"{_DATA}.tokenizers:bytes_tokenizer", "one token a byte, and BOS: 257 ids (default)",
                      vocab_size=257, fixed=True),
        TokenizerSpec("gpt2", f"{_DATA}.tokenizers:gpt2_tokenizer", "GPT-2's byte-pair encoding, 50257 ids",
                      requires=("tiktoken",), extra="gpt2", vocab_size=50257, fixed=True),
        TokenizerSpec("morphological", f"{_DATA}.morphology:Morphological",
                      "prefix, root and suffix of words, from the training text; roots=N caps the roots (2048)",
                      learn=f"{_DATA}.morphology:learn"),
        TokenizerSpec("symbols", f"{_DATA}.symbols:Symbols", "size=N tokens that stand for no text",
                      learn=f"{_DATA}.symbols:counted_symbols"),
    ]
