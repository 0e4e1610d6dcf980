"""What is around the network of a text-to-text model of others: subword pieces, and the tokens that name languages.

Such a network reads `before pieces after` and writes `start pieces`. A multilingual one is told the languages by tokens
in these places: M2M-100, NLLB and mBART by one of each language, a Marian model of several targets by `>>deu<<`, T5 by
the words "translate English to German:".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from sprat_contracts.languages import primary_subtag
from sprat_inference.artefact import BrokenArtefact, read_json, reading, write_json
from sprat_inference.tokenizer import load_tokenizer_file

if TYPE_CHECKING:
    import sentencepiece
    from tokenizers import Tokenizer

TEXT_TO_TEXT_READER: Final = "sprat-text-to-text/1"
"""Revision of the way from text to answer. Raise it with every change that changes an answer: it is part of the model's
version, and the version is part of every cache key."""

CALIBRATED_READER: Final = "sprat-text-to-text/2"
"""The same for an artefact whose card has :data:`CHANCE`, which a release before this reader would not read."""

CHANCE: Final = "chance"
"""The parameter of the calibration with bias and slope that make a chance of the network's own probabilities."""

MARKS_FILE: Final = "marks.json"
SOURCE_PIECES: Final = "source.spm"
TARGET_PIECES: Final = "target.spm"
"""Missing where the target has the pieces of the source."""

Tokens = tuple[str, ...]


class Pieces(Protocol):
    """Splits texts into the pieces of a network, and joins pieces to text. Thread-safe."""

    def encode(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each text, without any token that means more than itself."""

    def decode(self, pieces: Sequence[str]) -> str:
        """Return the text of the network's pieces."""


class SentencePieces:
    """Two SentencePiece models, or one for both sides."""

    def __init__(
        self, source: "sentencepiece.SentencePieceProcessor", target: "sentencepiece.SentencePieceProcessor"
    ) -> None:
        self._source = source
        self._target = target

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read :data:`SOURCE_PIECES`, and :data:`TARGET_PIECES` where there is one.

        Raises:
            BrokenArtefact: when a file cannot be read.
        """
        source = load_processor(folder / SOURCE_PIECES)
        target = folder / TARGET_PIECES
        return cls(source, load_processor(target) if target.is_file() else source)

    def encode(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each text; see :class:`Pieces`."""
        encoded: list[list[str]] = self._source.encode(list(texts), out_type=str)
        return encoded

    def decode(self, pieces: Sequence[str]) -> str:
        """Return the text of pieces; see :class:`Pieces`."""
        text: str = self._target.decode_pieces(list(pieces))
        return text


class TokenizerPieces:
    """A `tokenizer.json`."""

    def __init__(self, tokenizer: "Tokenizer") -> None:
        self._tokenizer = tokenizer

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read `tokenizer.json`.

        Raises:
            BrokenArtefact: when it cannot be read.
        """
        return cls(load_tokenizer_file(folder))

    def encode(self, texts: Sequence[str]) -> list[list[str]]:
        """Return the pieces of each text; see :class:`Pieces`."""
        return [each.tokens for each in self._tokenizer.encode_batch(list(texts), add_special_tokens=False)]

    def decode(self, pieces: Sequence[str]) -> str:
        """Return the text of pieces; see :class:`Pieces`."""
        ids = [id for piece in pieces if (id := self._tokenizer.token_to_id(piece)) is not None]
        return self._tokenizer.decode(ids, skip_special_tokens=True)


def load_pieces(folder: Path) -> Pieces:
    """Read the SentencePiece models of an artefact, or its `tokenizer.json`.

    Raises:
        BrokenArtefact: when a file cannot be read.
    """
    return SentencePieces.load(folder) if (folder / SOURCE_PIECES).is_file() else TokenizerPieces.load(folder)


def load_processor(path: Path) -> "sentencepiece.SentencePieceProcessor":
    """Read a SentencePiece model.

    Raises:
        BrokenArtefact: when it cannot be read.
    """
    import sentencepiece  # noqa: PLC0415 - the translation service installs it, and the extra `hub`

    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(path))
    except (OSError, RuntimeError) as error:
        raise BrokenArtefact(f"{path}: cannot be read ({error}); write the artefact again") from error


@dataclass(frozen=True, slots=True)
class PairMarks:
    """The tokens around the pieces, for one pair of languages."""

    before: Tokens
    """Before the source's pieces."""
    after: Tokens
    """After them."""
    start: Tokens
    """What the translation begins with; it is given to the network, and belongs to no text."""

    def around(self, pieces: Sequence[str]) -> list[str]:
        """Return what the network reads."""
        return [*self.before, *pieces, *self.after]


@dataclass(frozen=True, slots=True)
class LanguageMarks:
    """The tokens that name languages. The keys are the BCP 47 tags of the card."""

    source: Mapping[str, Tokens]
    """Language of the text → tokens before its pieces."""
    target: Mapping[str, Tokens]
    """Language of the translation → tokens before the pieces of the text, after those of its own language."""
    start: Mapping[str, Tokens]
    """Language of the translation → tokens that the translation begins with."""
    after: Tokens = ("</s>",)
    """After the pieces of the text."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read :data:`MARKS_FILE`.

        Raises:
            BrokenArtefact: when it cannot be read, or is another file.
        """
        path = folder / MARKS_FILE
        with reading(path):
            content = read_json(path)
            source, target, start = (
                {str(tag): tuple(map(str, tokens)) for tag, tokens in content[name].items()}
                for name in ("source", "target", "start")
            )
            return cls(source, target, start, tuple(map(str, content["after"])))

    def save(self, folder: Path) -> None:
        """Write :data:`MARKS_FILE`; equal marks give equal bytes."""
        content: dict[str, Any] = {
            "source": self.source, "target": self.target, "start": self.start, "after": self.after
        }  # fmt: skip
        write_json(folder / MARKS_FILE, content, sort_keys=True)

    @property
    def most(self) -> int:
        """Return the most tokens around a text."""
        longest = [max(map(len, side.values()), default=0) for side in (self.source, self.target)]
        return sum(longest) + len(self.after)

    def of(self, source: str, target: str) -> PairMarks:
        """Return the marks for a text in `source`, to be translated into `target`: two tags of the card."""
        before = (*self.source.get(source, ()), *self.target.get(target, ()))
        return PairMarks(before, self.after, self.start.get(target, ()))


def served_tag(tag: str, served: Sequence[str]) -> str:
    """Return the tag among `served` that serves `tag`: itself, else its primary subtag, else the first of all."""
    lower = {each.lower(): each for each in served}
    return lower.get(tag.replace("_", "-").lower()) or lower.get(primary_subtag(tag)) or served[0]
