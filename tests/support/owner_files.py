"""Small files as the documentation's examples use them, and the texts of an upstream system."""

import json
from pathlib import Path

from sprat_contracts import Envelope, TextSubmitted, Traceparent, encode
from support import training_files
from support.readme import programs

SOURCE = "/crm"
TENANT = "acme-bank"
UNRELATED = ("who won the cup final", "what is the capital of Peru", "tell me a joke", "how tall is the tower")
"""Texts that have nothing to do with any label."""

HELD_OUT = (
    ("what day do we get paid in {}", "payroll"),
    ("I did not get my pay of {}", "payroll"),
    ("can I have two days off in {}", "leave"),
    ("holidays I have left in {}", "leave"),
    ("the door stays shut for my badge since {}", "badge"),
    ("please print me another badge in {}", "badge"),
    ("my notebook computer is dead since {}", "laptop"),
    ("the screen of my computer flickers since {}", "laptop"),
)


def labelled() -> list[tuple[str, str]]:
    """Return the rows of hr.csv: a wrong label, a repeated row, a text with two labels, a label with few texts."""
    rows = training_files.rows()
    parking = [(f"a parking space for {when}, please", "parking") for when in training_files.TIMES]
    return [*rows, rows[5], (rows[6][0], "laptop"), *parking]


def held_out() -> list[tuple[str, str]]:
    """Return the rows of hr-test.csv; only the first is in hr.csv."""
    when = training_files.TIMES
    texts = [(phrase.format(time), label) for phrase, label in HELD_OUT for time in when]
    return [labelled()[3], *texts, *[(text, "oos") for text in UNRELATED[:2]]]


def write_all(folder: Path) -> None:
    """Write hr.csv, hr-test.csv, answers.jsonl, chatter.txt and the documented policy.yaml, open for the simulator."""
    training_files.write(folder / "hr.csv", labelled())
    training_files.write(folder / "hr-test.csv", held_out())
    answers = [json.dumps({"text": text, "label": label, "cost_eur": 0.0003}) for text, label in held_out()]
    (folder / "answers.jsonl").write_text("\n".join(answers), "utf-8")
    (folder / "chatter.txt").write_text("\n".join(UNRELATED[2:]), "utf-8")
    (folder / "policy.yaml").write_text(programs()["policy"].replace("[eu]  ", "[eu, local]"), "utf-8")


def write_unseen(folder: Path) -> None:
    """Write hr-test.csv again without the row that is in hr.csv, too."""
    training_files.write(folder / "hr-test.csv", held_out()[1:])


def correct(folder: Path) -> None:
    """Write hr.csv again with the wrong label corrected."""
    rows = labelled()
    training_files.write(folder / "hr.csv", [(rows[0][0], "leave"), *rows[1:]])


def write_bad(folder: Path) -> tuple[Path, Path]:
    """Write the two files that the documented errors are about, both called hr.csv; return their folders."""
    formula, quote = folder / "formula", folder / "quote"
    rows = training_files.rows()
    formula.mkdir()
    training_files.write(formula / "hr.csv", [*rows[:15], ("=VLOOKUP(A2;B:C;2)", "leave"), *rows[16:]])
    quote.mkdir()
    lines = training_files.write(quote / "hr.csv", rows).read_text("utf-8").splitlines()
    lines[2] = f'"{lines[2]}'
    (quote / "hr.csv").write_text("\n".join(lines), "utf-8")
    return formula, quote


def submitted(id: str, text: str, **fields: object) -> tuple[bytes, list[tuple[str, bytes]]]:
    """Return value and headers of a text that asks for its intent, as an upstream system publishes it."""
    message = TextSubmitted.model_validate({"text": text, "tasks": {"intent": {}}, "tenant": TENANT, **fields})
    return encode(message, Envelope(id, SOURCE, Traceparent.root(SOURCE, id)))
