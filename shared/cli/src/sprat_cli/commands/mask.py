"""`sprat mask`: what would be sent of a text."""

import sys
from typing import Annotated, Any

import typer

from sprat.base.errors import SpratError, UserError
from sprat.base.settings import default_language
from sprat_cli.detectors import DetectorSet, load_detectors
from sprat_cli.options import Json, PolicyFile, TaggerFolder, argument, option
from sprat_cli.terminal import faint, paint, printable, remark, say, say_json, table
from sprat_cli.text_input import read_text
from sprat_contracts.languages import primary_subtag
from sprat_langid import resolved
from sprat_privacy import MaskedSpan, MaskedText, NotVerified
from sprat_privacy import mask as masking

EPILOG = """\b
Examples:
  sprat mask "Please call Anna Schmidt on +49 30 901820"
  sprat mask letter.txt --language de --policy policy.yaml --show-values
  cat letter.txt | sprat mask - --json | jq -r .text

\b
It prints the text as the provider would get it, with a placeholder for each value; equal values have the same one.
Below: each placeholder, its type, the detector (`occurrence`: the same value in another place) and how often.
A file is one text. Nothing is sent, and the values themselves are shown only with --show-values.

\b
Exit codes:
  0  the text shown would be sent
  1  nothing would be sent: it cannot be verified that all is masked; the reason is shown
  2  wrong usage"""

_LONGEST_VALUE = 60
_COLOUR = "yellow"


def mask(
    what: Annotated[str, argument("TEXT|FILE|-", "A text, a file, or stdin.")],
    *,
    language: Annotated[
        str | None, option("TAG", "Of the text, BCP 47; auto: detected. [default: SPRAT_DEFAULT_LANGUAGE, else auto]")
    ] = None,
    policy: PolicyFile = None,
    tagger: TaggerFolder = None,
    validators_alone: Annotated[
        bool, typer.Option("--validators-alone", help="Look for forms and terms alone, without the tagger.")
    ] = False,
    show_values: Annotated[bool, typer.Option("--show-values", help="Show what was masked, too.")] = False,
    text: Annotated[bool, typer.Option("--text", help="It is the text, even if a file is called so.")] = False,
    as_json: Json = False,
) -> None:
    """Show what would be sent of a text under `redact`: the masked text, and what was masked."""
    if validators_alone and tagger is not None:
        raise UserError("--tagger and --validators-alone exclude each other")
    given = read_text(what, sys.stdin, as_text=text)
    usual = default_language()
    language = resolved(language or usual, given, usual)
    asked = load_detectors(policy, tagger, alone=validators_alone)
    accepted = (*asked.validators_alone, primary_subtag(language)) if validators_alone else asked.validators_alone
    try:
        masked = masking(given, language, asked.detectors, validators_alone=accepted)
    except NotVerified as error:
        if as_json:
            say_json({"type": "not_verified", "language": language, "reason": error.reason})
        raise SpratError(f"nothing of this text would be sent: {error.reason}{_advice(asked, language)}") from None
    if as_json:
        say_json(masked_json(masked, language, show_values=show_values))
        return
    if not _looks_for_names(asked, language):
        remark(f"names were not looked for: only values with a checkable form are masked in {printable(language)}")
    for line in (*masked_lines(masked), "", *found_lines(masked, show_values=show_values)):
        say(line)


def masked_lines(masked: MaskedText) -> list[str]:
    """Return the lines of the masked text, placeholders in colour, without control characters."""
    pieces: list[str] = []
    last = 0
    for span in masked.spans:
        pieces += (_harmless(masked.text[last : span.at]), paint(span.placeholder, _COLOUR))
        last = span.after
    return "".join((*pieces, _harmless(masked.text[last:]))).rstrip("\n").split("\n")


def found_lines(masked: MaskedText, *, show_values: bool) -> list[str]:
    """Return what was masked: a row for each placeholder, type and detector, in the order of the text."""
    rows: dict[tuple[str, str, str], list[MaskedSpan]] = {}
    for span in masked.spans:
        rows.setdefault((span.placeholder, span.type, span.detector), []).append(span)
    if not rows:
        return [faint("nothing was found to mask")]
    cells = [("PLACEHOLDER", "TYPE", "DETECTOR", "TIMES", *(["VALUE"] if show_values else []))]
    for row, spans in rows.items():
        values = dict.fromkeys(masked.value(span) for span in spans)
        shown = [" | ".join(printable(value, _LONGEST_VALUE) for value in values)] if show_values else []
        cells.append((*row, str(len(spans)), *shown))
    head, *body = table(cells)
    lines = [faint(head)]
    for line, (placeholder, _, _) in zip(body, rows, strict=True):
        lines.append(paint(placeholder, _COLOUR) + line.removeprefix(placeholder))
    counts = ", ".join(f"{count} {type}" for type, count in masked.counts.items())
    return [*lines, faint(f"{len(masked.spans)} masked: {counts}")]


def masked_json(masked: MaskedText, language: str, *, show_values: bool) -> dict[str, Any]:
    """Return it for machines. `start` and `end` count code points in the input, `at` in the masked text."""
    return {
        "type": "masked",
        "language": language,
        "text": masked.text,
        "counts": masked.counts,
        "spans": [
            {
                "start": span.start,
                "end": span.end,
                "at": span.at,
                "placeholder": span.placeholder,
                "type": span.type,
                "finder": span.detector,
                **({"value": masked.value(span)} if show_values else {}),
            }
            for span in masked.spans
        ],
    }


def _harmless(text: str) -> str:
    return "\n".join(printable(line) for line in text.replace("\r\n", "\n").split("\n"))


def _looks_for_names(asked: DetectorSet, language: str) -> bool:
    tag = primary_subtag(language)
    return any(detector.languages is not None and tag in detector.languages for detector in asked.detectors)


def _advice(asked: DetectorSet, language: str) -> str:
    """Return what to do if no detector looks for names in the language."""
    if _looks_for_names(asked, language) or primary_subtag(language) in asked.validators_alone:
        return ""
    known = sorted({tag for detector in asked.detectors for tag in detector.languages or ()})
    if not known:
        return ""
    return (
        f" (--language {printable(language)}; the tagger knows {', '.join(known)}); list the language in the policy's "
        "perimeter.validators_alone, or use --validators-alone to show what is masked by form alone"
    )
