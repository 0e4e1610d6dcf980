"""Generators: language models that write a text token by token, as CTranslate2 runs them.

A label is not read from what such a model writes: it is given the probability of the tokens that write it. The
probability of a text is the product of those of its tokens, each given all before it, and of that of an end token: so
that `card` is not as probable as all texts that begin with it. Texts that end are disjoint events, so the
probabilities of the options, divided by their sum, are those that the model gives them if it writes one of them. That
is the likelihood of whole answers by which GPT-3 was asked for choices (Brown et al. 2020, arXiv:2005.14165, section
2.4), without its normalisation by length, which the end token replaces. What it does not mend is that a model divides
its probability between words that mean the same (Holtzman et al. 2021, arXiv:2104.08315): that is for calibration.

No template of a model's repository runs here: the tokens around one system message and one user message were stored
when the model was converted.
"""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Self

import ctranslate2
import numpy as np
from numpy.typing import NDArray

from sprat_inference.artefact import BrokenArtefact, ModelError
from sprat_inference.card import Card
from sprat_inference.tokenizer import load_tokenizer, replace_surrogates

if TYPE_CHECKING:
    from tokenizers import Tokenizer

GENERATOR_READER: Final = "sprat-generator/1"
"""Revision of the way from messages to an answer; see :data:`sprat_inference.text_to_text.TEXT_TO_TEXT_READER`."""
GENERALIST: Final = "generalist"
"""The task in the card of a generator: it has none of its own."""
CHAT_FILE: Final = "chat.json"

_BYTES_PER_LOGIT: Final = 8
"""float32, once in the library's list of steps and once as numpy reads it."""
_PROBE: Final = "ok"


@dataclass(frozen=True, slots=True)
class Chat:
    """The tokens around the two messages of one turn."""

    before: tuple[str, ...]
    """Before the system message."""
    between: tuple[str, ...]
    """Between it and the user's."""
    after: tuple[str, ...]
    """After that, up to where the model's answer begins."""
    ends: tuple[str, ...]
    """Each of them ends an answer."""
    state_bytes: int
    """Memory that the network's state takes for each token of the question."""

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read :data:`CHAT_FILE`.

        Raises:
            BrokenArtefact: when it cannot be read, or is another file.
        """
        path = folder / CHAT_FILE
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            tokens = {name: tuple(map(str, content[name])) for name in ("before", "between", "after", "ends")}
            chat = cls(**tokens, state_bytes=int(content["state_bytes"]))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise BrokenArtefact(
                f"{path}: cannot be read ({type(error).__name__}: {error}); write the artefact again"
            ) from None
        if not chat.after or not chat.ends or chat.state_bytes < 1:
            raise BrokenArtefact(
                f"{path}: lacks the tokens after the question, or one that ends an answer; write the artefact again"
            )
        return chat

    def save(self, folder: Path) -> None:
        """Write :data:`CHAT_FILE`; an equal chat gives equal bytes."""
        text = json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, indent=1)
        (folder / CHAT_FILE).write_text(text + "\n", encoding="utf-8", newline="\n")

    @property
    def length(self) -> int:
        """Tokens around the messages."""
        return len(self.before) + len(self.between) + len(self.after)


class TooLongError(ValueError):
    """The question, with the answer, has more tokens than the model reads. The message says how many."""


class UnreadableOptionError(ValueError):
    """An option has no tokens, or the same ones as another."""


@dataclass(frozen=True, slots=True)
class Written:
    """What a model wrote."""

    text: str
    tokens: int
    """That it wrote, the one that ends the answer included."""
    is_cut: bool
    """Whether it would have gone on."""


def _never() -> bool:
    return False


class Generator:
    """A generator of an artefact. Its methods may be called from any thread; calls share the processor.

    Args:
        folder: of the artefact, for messages.
        card: of the artefact.
        chat: the tokens around messages.
        tokenizer: of the artefact.
        network: as CTranslate2 loaded it.
        memory: bytes that the states and logits of options scored at once may take.
    """

    def __init__(
        self, folder: Path, card: Card, chat: Chat, tokenizer: "Tokenizer", network: Any, *, memory: int
    ) -> None:
        self.card = card
        self._folder = folder
        self._chat = chat
        self._tokenizer = tokenizer
        self._network = network
        self._memory = memory
        self._vocabulary: list[str] = json.loads((folder / "vocabulary.json").read_text(encoding="utf-8"))
        ids = {token: id for id, token in enumerate(self._vocabulary)}
        around = {*chat.before, *chat.between, *chat.after, *chat.ends}
        if unknown := sorted(around - ids.keys()):
            raise BrokenArtefact(f"{folder}: the vocabulary lacks {unknown[0]}; write the artefact again")
        self._ends = np.array([ids[token] for token in chat.ends])
        self._ids = ids

    @classmethod
    def load(cls, folder: Path, card: Card, *, threads: int = 1, memory: int = 1 << 29) -> Self:
        """Read the network, the tokenizer and the chat of an artefact.

        Raises:
            BrokenArtefact: when a file cannot be read, or they belong to different models.
        """
        tokenizer, _ = load_tokenizer(folder)
        try:
            network = ctranslate2.Generator(str(folder), device="cpu", inter_threads=1, intra_threads=threads)
        except (RuntimeError, ValueError) as error:
            raise BrokenArtefact(f"{folder}: CTranslate2 cannot read it ({error}); write the artefact again") from error
        return cls(folder, card, Chat.load(folder), tokenizer, network, memory=memory)

    def probe(self) -> None:
        """Answer a question, so that what is broken shows at the start.

        Raises:
            ModelError: it computes nonsense.
        """
        self.probabilities(_PROBE, _PROBE, ["yes", "no"])

    def question(self, system: str, user: str) -> list[str]:
        """Return the tokens of a question. What is written in a message is never a token that means more than itself.

        Raises:
            TooLongError: they are more than the model reads.
        """
        chat = self._chat
        tokens = [*chat.before, *self._tokens(system), *chat.between, *self._tokens(user), *chat.after]
        if len(tokens) >= self.card.max_tokens:
            raise TooLongError(f"the question has {len(tokens):,} tokens, the model reads {self.card.max_tokens:,}")
        return tokens

    def probabilities(
        self, system: str, user: str, options: Sequence[str], is_cancelled: Callable[[], bool] = _never
    ) -> tuple[list[float], int]:
        """Return the probability of each option as the whole answer, which add up to 1, and the tokens of the question.

        Args:
            system: what to do.
            user: what to do it with.
            options: one or more, each another.
            is_cancelled: asked again and again; true ends the work with a :class:`ModelError`.

        Raises:
            ModelError: the network computed nonsense, or the work was cancelled.
            TooLongError: question and option have more tokens than the model reads.
            UnreadableOptionError: an option cannot be told from the others.
        """
        question = self.question(system, user)
        answers = [self._tokens(option) for option in options]
        if not all(answers) or len(set(map(tuple, answers))) != len(answers):
            raise UnreadableOptionError("an option has no tokens, or those of another one")
        longest = max(map(len, answers))
        if (length := len(question) + longest + 1) > self.card.max_tokens:
            raise TooLongError(f"question and option have {length:,} tokens, the model reads {self.card.max_tokens:,}")
        each = length * self._chat.state_bytes + (longest + 1) * len(self._vocabulary) * _BYTES_PER_LOGIT
        at_once = max(1, self._memory // each)
        logs: list[float] = []
        for start in range(0, len(answers), at_once):
            if is_cancelled():
                raise ModelError("the question was withdrawn")
            logs += self._log_probabilities(question, answers[start : start + at_once])
        shares = np.exp(np.array(logs) - max(logs))
        return (shares / shares.sum()).tolist(), len(question)

    def write(
        self,
        system: str,
        user: str,
        *,
        most: int,
        begin: str = "",
        ends: Callable[[str], bool] | None = None,
        is_cancelled: Callable[[], bool] = _never,
    ) -> tuple[Written, int]:
        """Return what the model writes, always the most probable token, and the tokens of the question.

        Args:
            system: what to do.
            user: what to do it with.
            most: tokens of the answer; fewer where the model does not read as many.
            begin: what the answer begins with; it is given to the model, and not returned.
            ends: is asked after each token whether the text so far is all that is wanted.
            is_cancelled: asked after each token; true ends the answer.

        Raises:
            TooLongError: the question has more tokens than the model reads.
        """
        question = [*self.question(system, user), *(self._tokens(begin) if begin else ())]
        if (room := self.card.max_tokens - len(question)) < 1:
            raise TooLongError(f"the question has {len(question):,} tokens, the model reads {self.card.max_tokens:,}")
        ids: list[int] = []
        tokenizer = self._tokenizer

        # The library's thread lets go of this function last. If it held the network, that could end on its own thread,
        # which aborts the process: so it does not name `self`.
        def after_token(step: Any) -> bool:
            ids.append(step.token_id)
            return is_cancelled() or (ends is not None and ends(_text(tokenizer, ids)))

        (result,) = self._network.generate_batch(
            [question],
            max_length=min(most, room),
            sampling_topk=1,
            end_token=list(self._chat.ends),
            include_prompt_in_result=False,
            callback=after_token,
        )
        written = result.sequences_ids[0]
        text = _text(tokenizer, written)
        ended = len(ids) > len(written) or (ends is not None and ends(text))
        return Written(text, len(ids), is_cut=not ended), len(question)

    def ids(self, tokens: Sequence[str]) -> list[int]:
        """Return the ids of tokens of the vocabulary."""
        return [self._ids[token] for token in tokens]

    def next_logits(self, question: Sequence[str]) -> NDArray[np.float32]:
        """Return the logits of the token after a question, one for each entry of the vocabulary."""
        (row,) = self._network.generate_batch(
            [list(question)],
            max_length=1,
            sampling_topk=1,
            include_prompt_in_result=False,
            return_logits_vocab=True,
        )
        return np.asarray(row.logits[0][0], dtype=np.float32).reshape(-1)

    def _log_probabilities(self, question: Sequence[str], answers: Sequence[Sequence[str]]) -> list[float]:
        """Return the logarithm of each answer's probability, its end included.

        The question is read once. Its state is not kept in the library's cache, which has no limit.
        """
        rows = self._network.generate_batch(
            [[question[-1], *answer] for answer in answers],
            static_prompt=question[:-1],
            cache_static_prompt=False,
            max_length=max(map(len, answers)) + 1,
            sampling_topk=1,
            return_logits_vocab=True,
            callback=lambda step: step.step >= len(answers[step.batch_id]),
        )
        return [self._log_probability(row.logits[0], answer) for row, answer in zip(rows, answers, strict=True)]

    def _log_probability(self, logits: Sequence[Any], answer: Sequence[str]) -> float:
        """Return it from the logits after each token: one array of the vocabulary's length each."""
        total = 0.0
        for place, step in enumerate(logits[: len(answer) + 1]):
            values: NDArray[np.float64] = np.asarray(step, dtype=np.float32).astype(np.float64).reshape(-1)
            chosen = values[self._ids[answer[place]]] if place < len(answer) else _log_sum(values[self._ends])
            total += float(chosen - _log_sum(values))
        if len(logits) <= len(answer) or not np.isfinite(total):
            raise ModelError(f"{self._folder.name} gave an option no probability")
        return total

    def _tokens(self, text: str) -> list[str]:
        ids = self._tokenizer.encode(replace_surrogates(text), add_special_tokens=False).ids
        return [self._vocabulary[id] for id in ids]


def _text(tokenizer: "Tokenizer", ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(list(ids), skip_special_tokens=True)
    return text


def _log_sum(values: NDArray[np.float64]) -> float:
    most = values.max()
    return float(most + np.log(np.exp(values - most).sum()))
