"""From a text to what may leave of it."""

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

from sprat_contracts.languages import primary_subtag
from sprat_privacy.boundaries import is_seam
from sprat_privacy.detection import Detection, Detector, resolve
from sprat_privacy.entity_types import is_type
from sprat_privacy.errors import NotVerified
from sprat_privacy.masked_text import Masked, MaskedSpan, Numbering, resembling_in
from sprat_privacy.normalisation import manner, normal_form
from sprat_privacy.occurrences import occurrences

REVISION: Final = "sprat-perimeter/2"
"""Of the code that decides what is masked. Raise it with every change that masks more, less or otherwise."""


def mask(
    text: str,
    language: str,
    finders: Sequence[Detector],
    *,
    validators_alone: Collection[str] = (),
) -> Masked:
    """Replace all that the finders find, wherever else in the text it stands too.

    The same text, finders and policy give the same masked text. `validators_alone` are the languages (primary tags) for
    which the policy accepts that nothing looks for names.

    Raises:
        NotVerified: a finder failed or gave what cannot be; no finder of names knows the language; or a masked value
            would still stand in what leaves. The text must not leave then.
    """
    asked = _asked(primary_subtag(language), finders, validators_alone)
    found = [one for finder in asked for one in _found(text, language, finder)]
    spans = resolve(occurrences(text, found)) if found else []
    masked = _replaced(text, spans)
    _verify(masked, {text[one.start : one.end] for one in found})
    return masked


def _asked(tag: str, finders: Sequence[Detector], validators_alone: Collection[str]) -> list[Detector]:
    asked = [finder for finder in finders if finder.languages is None or tag in finder.languages]
    if not any(finder.languages is not None for finder in asked) and tag not in validators_alone:
        raise NotVerified(
            "no finder of names knows the text's language, and the policy does not accept validators alone"
        )
    if not asked:
        raise NotVerified("there is no finder to ask")
    return asked


def _found(text: str, language: str, finder: Detector) -> list[Detection]:
    """Ask one finder; give its finds without white space around them."""
    failed: str | None = None
    found: list[Detection] = []
    try:
        found = list(finder.find(text, language))
    except Exception as error:  # noqa: BLE001 - the boundary to finders: whatever goes wrong in one, nothing leaves
        failed = type(error).__name__
    if failed is not None:
        # Raised out here, so that the finder's own error is no part of it: its message may hold the text.
        raise NotVerified(f"the finder {finder.name} failed: {failed}")
    trimmed: list[Detection] = []
    for one in found:
        if not 0 <= one.start < one.end <= len(text) or not is_type(one.type):
            raise NotVerified(f"the finder {finder.name} gave a span that cannot be")
        value = text[one.start : one.end]
        if value.isspace():
            continue
        start = one.start + len(value) - len(value.lstrip())
        trimmed.append(replace(one, start=start, end=start + len(value.strip())))
    return trimmed


def _replaced(text: str, found: Sequence[Detection]) -> Masked:
    numbering = Numbering(frozenset(resembling_in(text)))
    spans: list[MaskedSpan] = []
    pieces: list[str] = []
    length = last = 0
    for one in found:
        value = text[one.start : one.end]
        how = manner(value, one.type)
        stand_in = numbering.give((value, (how, normal_form(value, how) or value)), one.type)
        length += one.start - last
        spans.append(MaskedSpan(one.start, one.end, length, stand_in, one.type, one.finder))
        pieces += (text[last : one.start], stand_in)
        length += len(stand_in)
        last = one.end
    return Masked("".join((*pieces, text[last:])), text, tuple(spans))


def _verify(masked: Masked, found: Collection[str]) -> None:
    """See that no masked value stands between seams in what leaves, placeholders aside, and that all comes back."""
    if not masked.spans:
        return
    starts = [span.at for span in masked.spans]
    for value in {masked.value(span) for span in masked.spans} | set(found):
        if _stands(masked, value, starts):
            raise NotVerified("a masked value would still stand in what leaves")
    if masked.unmasked() != masked.original:
        raise NotVerified("what leaves would not come back")


def _stands(masked: Masked, value: str, starts: Sequence[int]) -> bool:
    """Does the value stand between seams in what leaves, clear of every placeholder?"""
    at = masked.text.find(value)
    while at >= 0:
        end = at + len(value)
        before = bisect_left(starts, end) - 1
        clear = before < 0 or masked.spans[before].after <= at
        if clear and is_seam(masked.text, at) and is_seam(masked.text, end):
            return True
        at = masked.text.find(value, at + 1)
    return False
