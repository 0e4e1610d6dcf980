"""`sprat dlq show`: a dead letter with headers, reason, and the original with personal data masked."""

import asyncio
import base64
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Self

import typer

from sprat.base.errors import SpratError
from sprat.base.settings import default_language
from sprat.base.words import counted
from sprat_cli.commands.dlq.listing import SIGNED, next_steps
from sprat_cli.commands.dlq.options import choice, selected
from sprat_cli.detectors import DetectorSet, load_detectors
from sprat_cli.options import Bootstrap, Json, PolicyFile, Prefix, TaggerFolder, argument, kafka_settings, option
from sprat_cli.render import dead_letter_json, when
from sprat_cli.terminal import faint, paint, printable, say, say_json
from sprat_contracts.dead_letters import MAX_REPLAYS
from sprat_contracts.headers import header_name
from sprat_contracts.languages import FALLBACK_LANGUAGE, is_auto, primary_subtag
from sprat_langid import resolved
from sprat_operations import local_run
from sprat_operations.connection import explain_kafka_errors, reading_signatures
from sprat_operations.dead_letter_payload import ReadablePayload, hex_dump, readable, readable_key
from sprat_operations.dead_letter_selection import check_names
from sprat_operations.dead_letters import DeadLetter
from sprat_operations.local_run import LocalRun
from sprat_privacy import NotVerified
from sprat_privacy import mask as masking


class NotShown(SpratError):
    """It cannot be verified that all is masked."""


@dataclass(frozen=True, slots=True)
class Masker:
    """Masks what can be read of a value."""

    asked: DetectorSet
    language: str | None
    default_language: str
    alone: bool

    @classmethod
    def load(
        cls, policy: Path | None, tagger: Path | None, language: str | None, *, alone: bool, run: LocalRun | None
    ) -> Self:
        """Load the detectors, with the terms of the policy given, else of that of `run`.

        Raises:
            UserError: the policy or the tagger cannot be used, or is not installed.
        """
        return cls(load_detectors(policy, tagger, alone=alone, run=run), language, default_language(), alone)

    def mask(self, content: ReadablePayload) -> tuple[str, Mapping[str, int]]:
        """Return what may be shown, and how many values of which type are masked in it.

        Raises:
            NotShown: nothing of it may be shown.
        """
        # What names no language is not detected: it may be broken JSON, which is in none.
        default = FALLBACK_LANGUAGE if is_auto(self.default_language) else self.default_language
        language = resolved(self.language or content.language or default, content.text, default)
        accepted = (
            (*self.asked.validators_alone, primary_subtag(language)) if self.alone else self.asked.validators_alone
        )
        if not content.text.strip():
            return content.shown(), {}
        try:
            masked = masking(content.text, language, self.asked.detectors, validators_alone=accepted)
        except NotVerified as error:
            raise NotShown(f"{error.reason} (language {language}; another: --language TAG)") from None
        return content.masked(masked), Counter(span.type for span in content.spans(masked))


EPILOG = """\b
Examples:
  sprat dlq show 3:17
  sprat dlq show 6f1c0d5e-8a57-4a3e-9b57-0a4a2f7a3c11 --json
  sprat dlq show 3:17 --raw

\b
The original is shown as it would be sent to a provider: with a placeholder for each personal value (see `sprat mask`).
What cannot be verified is not shown. JSON is laid out one value a line; bytes that are not UTF-8 are shown as \\xff. Id
and source (ce_id, ce_source), trace and key facts of the event are never masked, as headers or in structured mode: they
are in logs and traces, too. Do not put personal data into an id. A key that is the id is shown, too; a key of one word
is no address (cust-3), and its numbers of up to six digits are shown (user:1001). Terms and patterns are those of
--policy, else of the policy of your own running `sprat up`, else of SPRAT_POLICY. --raw shows the original as it is,
binary data as a hex dump; with --json, in base64.

\b
Exit codes:
  0  shown
  1  an original is not shown, because it cannot be verified that all is masked; the reason is shown
  2  wrong usage, or Kafka cannot be reached"""

_PLAIN = frozenset(
    {"content-type", "traceparent", "tracestate"}
    | {f"ce_{name}" for name in ("specversion", "id", "source", "type", "time", "tenant", "status")}
)
"""Headers that are never masked: identifiers that are in logs and traces, too."""


def show(
    names: Annotated[list[str], argument("PARTITION:OFFSET|TEXT_ID...", "As `sprat dlq list` shows them.")],
    *,
    raw: Annotated[bool, typer.Option("--raw", help="Show the original as it is, with personal data.")] = False,
    language: Annotated[
        str | None, option("TAG", "Of the text, BCP 47. [default: its own, else SPRAT_DEFAULT_LANGUAGE]")
    ] = None,
    policy: PolicyFile = None,
    tagger: TaggerFolder = None,
    validators_alone: Annotated[
        bool, typer.Option("--validators-alone", help="Mask forms and terms alone, without the tagger: names show.")
    ] = False,
    as_json_lines: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Show dead letters: headers, reason, and the original with personal data masked."""
    kafka = kafka_settings(bootstrap, prefix)
    run = local_run.find_by_kafka(kafka.bootstrap)
    masker = None if raw else Masker.load(policy, tagger, language, alone=validators_alone, run=run)
    wanted = choice(None, None, None, None, names)
    with explain_kafka_errors(kafka):
        found = asyncio.run(selected(kafka, wanted, reading_signatures(), values=True))
    check_names(found)
    complete = True
    for letter in found.chosen:
        original = _raw(letter) if masker is None else _masked(letter, masker)
        complete &= not original.get("withheld")
        if as_json_lines:
            say_json({**dead_letter_json(letter), **original})
        else:
            for line in _in_full(letter, original, raw=raw):
                say(line)
    raise typer.Exit(0 if complete else 1)


def _raw(letter: DeadLetter) -> dict[str, Any]:
    """Return the original as it is."""
    headers = [[name, _escaped(value)] for name, value in letter.original_headers]
    parts: dict[str, Any] = {"masked": False, "headers": headers}
    for name, part in (("key", letter.key), ("value", letter.value)):
        parts[name] = None if part is None else _escaped(part)
        parts[f"{name}_base64"] = None if part is None else base64.b64encode(part).decode()
    return parts


def _masked(letter: DeadLetter, masker: Masker) -> dict[str, Any]:
    """Return the original with personal data masked."""
    parts: dict[str, Any] = {"masked": True, "headers": [], "counts": {}, "withheld": {}}
    for name, value in letter.original_headers:
        shown = _escaped(value) if header_name(name) in _PLAIN else _part_masked(f"header {name}", value, masker, parts)
        parts["headers"].append([name, shown])
    if letter.key and letter.text_id is not None and letter.key == letter.text_id.encode():
        parts["key"] = _escaped(letter.key)
    else:
        parts["key"] = _part_masked("key", letter.key, masker, parts)
    parts["value"] = _part_masked("value", letter.value, masker, parts, is_event=letter.is_event)
    return parts


def _part_masked(
    part: str, value: bytes | None, masker: Masker, parts: dict[str, Any], *, is_event: bool = False
) -> str | None:
    """Mask one part of a record; add to `parts` what was masked, or why it is not shown."""
    if not value:
        return None if value is None else ""
    content = readable_key(value) if part == "key" else readable(value, is_event=is_event)
    if content is None:
        parts["withheld"][part] = f"{counted(len(value), 'byte')}, not UTF-8 text"
        return None
    try:
        text, counts = masker.mask(content)
    except NotShown as error:
        parts["withheld"][part] = str(error)
        return None
    parts["counts"] = dict(Counter(parts["counts"]) + Counter(counts))
    return text + (f"\n… {counted(content.left_out, 'more character')}" if content.left_out else "")


def _in_full(letter: DeadLetter, original: dict[str, Any], *, raw: bool) -> list[str]:
    reason = letter.reason
    lines = [
        f"{paint(letter.place, 'red')}  {printable(reason.code)}: {printable(reason.detail)}",
        f"  by       {printable(reason.service)} {printable(reason.version)}, {when(letter.written_at)}",
        f"  was at {printable(reason.topic)} {reason.partition}@{reason.offset}, {when(reason.timestamp_ms)}",
        f"  text     {_named(letter)}",
        f"  trace    {letter.trace_id or 'unknown'}",
        f"  replays  {reason.replays} of {MAX_REPLAYS}",
        *([f"  copies   {', '.join(letter.copies)}, written again after a kill"] if letter.copies else []),
        *([] if letter.signed is None else [f"  signed   {SIGNED[letter.signed]}"]),
        f"  key      {_shown(original, 'key', original['key'])}",
        "  headers",
        *(f"    {printable(name)}: {_shown(original, f'header {name}', value)}" for name, value in original["headers"]),
        f"  value    {counted(len(letter.value or b''), 'byte')}",
    ]
    lines += [f"    {line}" for line in _value_lines(letter, original, raw=raw)]
    if not raw and original["counts"]:
        counts = ", ".join(f"{count} {kind}" for kind, count in sorted(original["counts"].items()))
        lines.append(faint(f"  masked: {counts}; --raw shows them"))
    return [*lines, f"  {next_steps([letter])}", ""]


def _named(letter: DeadLetter) -> str:
    """Return id and source of the original, or what of them is missing."""
    if letter.identity is not None:
        return " of ".join(map(printable, reversed(letter.identity)))
    return "has no id" if letter.text_id is None else f"{printable(letter.text_id)}, without a source"


def _value_lines(letter: DeadLetter, original: dict[str, Any], *, raw: bool) -> list[str]:
    if letter.value is None:
        return ["none at all"]
    if raw and readable(letter.value) is None:
        return list(hex_dump(letter.value))
    if original["value"] is None:
        return [_shown(original, "value", None)]
    return [printable(line) for line in original["value"].replace("\r\n", "\n").split("\n")]


def _shown(original: dict[str, Any], part: str, value: str | None) -> str:
    if value is not None:
        return printable(value)
    why = original.get("withheld", {}).get(part)
    return "none" if why is None else paint(f"not shown: {why}; --raw shows it", "yellow")


def _escaped(value: bytes | None) -> str | None:
    """Return the bytes as UTF-8; those that are not valid in hexadecimal."""
    return None if value is None else value.decode("utf-8", "backslashreplace")
