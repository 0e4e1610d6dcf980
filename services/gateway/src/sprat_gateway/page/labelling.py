"""Screen 5: what waits for a person, one text at a time. Every answer goes by a form, with script or without."""

import hashlib
import logging
from contextlib import suppress
from typing import Annotated, Any, Final
from urllib.parse import parse_qsl, urlencode

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from sprat_contracts import FeedbackGiven, IntentOutput, LabelsOutput, MaskedOutput, NerOutput, Output, TextOutput
from sprat_contracts.predictions import TranslationOutput
from sprat_contracts.reviews import CANNOT_TELL, RIGHT, WRONG
from sprat_gateway.http.callers import Caller, admission_of, caller, check_role
from sprat_gateway.http.problems import Problem
from sprat_gateway.page.answer_desk import Labelling
from sprat_gateway.page.pages import Page, PageRoute, may_read, note_look, page_of, viewer_of
from sprat_gateway.page.queries import to_label
from sprat_gateway.page.queries.to_label import Queue, ToLabel, output_of
from sprat_gateway.page.render import ROOT
from sprat_gateway.page.store import now_ms, uuid_bytes
from sprat_operations import reviews

log = logging.getLogger(__name__)

HERE: Final = f"{ROOT}/label"
_SKIPPED_S: Final = 24 * 3600
_DONE: Final = "done"
"""Has what nobody is to get: an answer is on its way, or somebody has put a hard text aside."""
_JUDGED: Final = {RIGHT: "right", WRONG: "wrong", CANNOT_TELL: "cannot tell"}

router = APIRouter(prefix=ROOT, route_class=PageRoute, include_in_schema=False)
Known = Annotated[Caller, Depends(caller)]


@router.get("/label")
async def show(request: Request, known: Known, text: str = "", task: str = "") -> Response:
    """Show the first text that waits and nobody else has in hand; to htmx, what became of the last answers."""
    if request.headers.get("hx-request") == "true":
        return _screen(request, known, Queue((), 0, 0), None)
    return await _next(request, known, (text, task))


@router.post("/label")
async def answer(request: Request, known: Known) -> Response:
    """Take an answer, or the last one back, and go on with the next text."""
    check_role(known, "label")
    check_role(known, "read-texts")
    page, person = page_of(request), _person(request, known)
    fields = _fields(await request.body())
    if "undo" in fields:
        return await _undo(request, known)
    one = (uuid_bytes(fields.get("text", [""])[0]) or b"", fields.get("task", [""])[0])
    queue = await page.read(to_label, viewer_of(known, texts=True), page.tasks, now_ms(), one)
    item = next(iter(queue.items), None)
    labelling = _labelling(page)
    if item is None or not await labelling.leases.take(item.name, person):
        gone = Problem(409, "not_open", "this text waits no longer: somebody else has it, or has answered")
        return await _next(request, known, problem=gone)
    if "skip" in fields and item.asked is None:
        await labelling.leases.assign(item.name, _DONE, _SKIPPED_S)
        return RedirectResponse(HERE, 303)
    try:
        given, said = _given(item, fields, known.key_id)
    except ValueError as error:
        return await _next(request, known, (item.uuid, item.task), Problem(422, "invalid_answer", str(error)))
    labelling.desk.give(person, item, given, said)
    await labelling.leases.assign(item.name, _DONE)
    return RedirectResponse(HERE, 303)


async def _undo(request: Request, known: Caller) -> Response:
    page, person = page_of(request), _person(request, known)
    item = _labelling(page).desk.take_back(person)
    if item is None:
        left = "the last answer cannot be taken back here any more: it has left, or another instance has it"
        return await _next(request, known, problem=Problem(409, "has_left", left))
    await _labelling(page).leases.assign(item.name, person)
    return RedirectResponse(f"{HERE}?{urlencode({'text': item.uuid, 'task': item.task})}", 303)


async def _next(
    request: Request, known: Caller, wanted: tuple[str, str] = ("", ""), problem: Problem | None = None
) -> Response:
    """Show the text that is asked for, if it can be had, else the first one that can."""
    page, may = page_of(request), may_read(known) and "label" in known.roles
    queue = await page.read(to_label, viewer_of(known, texts=may), page.tasks, now_ms())
    items = sorted(queue.items, key=lambda each: (each.uuid, each.task) != wanted)
    item = None
    for each in items:
        if await _labelling(page).leases.take(each.name, _person(request, known)):
            item = each
            break
    if item is not None:
        note_look(known, item.uuid)
    return _screen(request, known, queue, item, problem)


def _screen(
    request: Request, known: Caller, queue: Queue, item: ToLabel | None, problem: Problem | None = None
) -> Response:
    page = page_of(request)
    desk = _labelling(page).desk
    missing = [role for role in ("label", "read-texts") if role not in known.roles]
    values: dict[str, Any] = {"queue": queue, "item": item, "problem": problem, "missing": missing}
    values |= {
        "last": desk.last(_person(request, known)),
        "undo_s": desk.undo_s,
        "say": in_words,
        "judged": reviews.JUDGED,
    }
    return page.screen(request, known, "label", values, 200 if problem is None else problem.status)


def _given(item: ToLabel, fields: dict[str, list[str]], by: str) -> tuple[FeedbackGiven, str]:
    """Return an answer, and what it says in words.

    Raises:
        ValueError: the form has none, or one that was not offered.
    """
    verdict = fields.get("verdict", [""])[0]
    if item.asked is not None and (verdict == CANNOT_TELL or (item.form == "judge" and verdict in _JUDGED)):
        return reviews.judgement(item.asked, verdict, by), _JUDGED[verdict]
    chosen = fields.get("label", [])
    if item.form == "judge" or not (chosen or "none" in fields or "apply" in fields):
        raise ValueError("choose an answer")
    if set(chosen) - set(item.labels) or (item.form == "label" and len(chosen) > 1):
        raise ValueError("an answer is one of those that are offered")
    output = output_of(item.form, chosen)
    if item.asked is not None:
        return reviews.answer(item.asked, output, by), in_words(output)
    return FeedbackGiven(text_id=item.id, text_source=item.source, task=item.task, output=output, by=by), in_words(
        output
    )


def in_words(output: Output | None) -> str:
    """Return an output as a reviewer reads it."""
    match output:
        case IntentOutput(label=label):
            return label or "none of the labels"
        case LabelsOutput(labels=labels):
            return ", ".join(sorted(each.label for each in labels)) or "none of the labels"
        case None:
            return "no answer"
        case NerOutput(entities=entities):
            names = (f"{each.text} ({each.label}{', uncertain' if each.uncertain else ''})" for each in entities)
            return "\n".join(names) or "no names"
        case TranslationOutput(text=text) | TextOutput(content=text) | MaskedOutput(masked=text):
            return text


def _fields(body: bytes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    with suppress(ValueError):  # too many: no form of this page
        for name, value in parse_qsl(body.decode("utf-8", "replace"), keep_blank_values=True, max_num_fields=1_100):
            found.setdefault(name, []).append(value)
    return found


def _person(request: Request, known: Caller) -> str:
    """Return what tells a person's browser from others: two people may have the same key."""
    session = admission_of(request).sessions.csrf(request)
    return hashlib.sha256(f"{known.key_id}\0{session}".encode()).hexdigest()[:32]


def _labelling(page: Page) -> Labelling:
    if page.labelling is None:
        raise Problem(503, "no_answers", "this gateway takes no answers")
    return page.labelling
