"""What all parts of the policy file have in common."""

from functools import lru_cache
from typing import Annotated, Any, Final

import re2  # type: ignore[import-untyped]  # google-re2 carries no types
from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError


class Section(BaseModel):
    """A part of the policy file. Unknown fields are errors here: a typo must not silently loosen a rule."""

    model_config = ConfigDict(frozen=True, extra="forbid")


# What a company adds to the perimeter: its own terms, its own patterns, and where validators alone will do.


MAX_WORD = 200
MAX_PATTERN = 200
_MAX_PROGRAM: Final = 1000
"""Steps of a compiled pattern: RE2 reads a text in time × steps at most, so a text of 20,000 characters in 0.05 s."""
_MAX_MEMORY: Final = 1 << 20

TermType = Annotated[
    str,
    Field(
        pattern=r"^[A-Z][A-Z0-9_]{0,31}$",
        description="what its placeholders are called, as PROJECT: capital letters, digits and underscores, at most 32",
    ),
]


def compiled(pattern: str) -> Any:
    """Compile a pattern of the policy. RE2 knows no backtracking: its time is linear in the text, whatever the pattern.

    Raises:
        re2.error: it is none, or too large.
    """
    return _compiled(pattern)


@lru_cache(maxsize=1024)
def _compiled(pattern: str) -> Any:
    options = re2.Options()
    options.log_errors = False
    options.max_mem = _MAX_MEMORY
    return re2.compile(pattern, options)


def _word(word: str) -> str:
    if not any(character.isalnum() for character in word):
        raise PydanticCustomError("no_word", "there is no letter or digit in it; remove it")
    return word


def _pattern(pattern: str) -> str:
    try:
        program = compiled(pattern)
    except re2.error as error:
        said = error.args[0].decode() if error.args and isinstance(error.args[0], bytes) else "not a regular expression"
        raise PydanticCustomError("no_pattern", "{said}", {"said": said}) from None
    if program.programsize > _MAX_PROGRAM:
        raise PydanticCustomError("no_pattern", "its repetitions make it too large; use smaller ones")
    if program.search("") is not None or program.search(" ") is not None:
        raise PydanticCustomError(
            "no_pattern", "it matches nothing at all or white space, so it would match everywhere"
        )
    return pattern


class TermRule(Section):
    """Words that must not leave."""

    type: TermType
    words: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=MAX_WORD), AfterValidator(_word)], ...],
        Field(
            min_length=1,
            max_length=10_000,
            description="a list of words or phrases; case and white space do not matter",
        ),
    ]


class PatternRule(Section):
    """A form that must not leave."""

    type: TermType
    pattern: Annotated[
        str,
        Field(
            min_length=1,
            max_length=MAX_PATTERN,
            description="a regular expression as RE2 reads it (no look-around), in quotes, as 'K-[0-9]{6}'",
        ),
        AfterValidator(_pattern),
    ]


class PrivacyPolicy(Section):
    """What is masked besides what the tagger and the validators find, and in which languages no tagger is needed."""

    terms: Annotated[
        tuple[TermRule, ...], Field(max_length=100, description="a list of sections with type and words")
    ] = ()
    patterns: Annotated[
        tuple[PatternRule, ...], Field(max_length=100, description="a list of sections with type and pattern")
    ] = ()
    validators_alone: Annotated[
        tuple[Annotated[str, Field(pattern=r"^[a-z]{2,3}$")], ...],
        Field(
            description="a list of languages, as [fi, el], whose texts may leave though nothing looks for names in them"
        ),
    ] = ()
