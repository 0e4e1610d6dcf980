"""LibreTranslate's `/translate`, `/detect` and `/languages`, as its server has them: JSON or a form."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import parse_qsl

from fastapi import APIRouter, Depends, Request
from pydantic import Field

from sprat_contracts import IntentOutput, ReasonCode, Result, TranslationOutput
from sprat_contracts.languages import AUTO, LANGUAGE_NAMES, is_auto, primary_subtag
from sprat_gateway.http.callers import Caller, admission_of, check_role
from sprat_gateway.http.gate import content_type
from sprat_gateway.http.problems import Problem
from sprat_gateway.replies.waiters import TextOutcome
from sprat_gateway.shapes.asking import asking_of
from sprat_gateway.shapes.openapi import described
from sprat_gateway.shapes.questions import about, no_answer, why_no_answer
from sprat_gateway.shapes.requests import RequestPart, read_fields

router = APIRouter()

TRANSLATION: Final = "translation"
LANGUAGE_ID: Final = "language-id"
MAX_TEXTS: Final = 50
"""Texts of one request."""
_FORM: Final = "application/x-www-form-urlencoded"
_OF_THE_REQUEST: Final = frozenset({"language", "target", "too_long"})
"""Codes of declined answers that another request would not meet."""
UNDETERMINED: Final = "und"

Fields = Mapping[str, Any]
GivenText = Annotated[str, Field(min_length=1, max_length=20_000)]
Code = Annotated[str, Field(min_length=1, max_length=35)]


class LibreTranslateBody(RequestPart):
    """What every body has."""

    api_key: Annotated[str | None, Field(description="An API key, instead of the header Authorization.")] = None


class TranslateBody(LibreTranslateBody):
    """The body of `/translate`."""

    q: GivenText | Annotated[list[GivenText], Field(min_length=1, max_length=MAX_TEXTS)]
    source: Annotated[Code, Field(description="A language, or `auto`.")]
    target: Annotated[Code, Field(description="A language.")]
    format: Annotated[Literal["text", ""], Field(description="Markup is not translated.")] = "text"


class DetectBody(LibreTranslateBody):
    """The body of `/detect`."""

    q: GivenText


@dataclass(frozen=True, slots=True)
class AskedTranslation:
    """What a client wants translated."""

    texts: tuple[str, ...]
    source: str
    target: str
    is_list: bool

    @property
    def bodies(self) -> list[dict[str, Any]]:
        """The events' bodies, one for each text."""
        tasks = {TRANSLATION: {"target": self.target}}
        return [{"text": text, "language": self.source, "tasks": tasks} for text in self.texts]


def fields_of(kind: str, body: bytes) -> Fields:
    """Return the fields of a body of this media type.

    Raises:
        Problem: 400, it is neither a JSON object nor a form.
    """
    try:
        if kind == _FORM:
            return dict(parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=20))
        fields = json.loads(body or b"{}")
    except (ValueError, RecursionError):  # in UTF-16, brackets can be hidden from `check_depth`
        raise Problem(400, "invalid_json", f"the body is neither JSON nor {_FORM}") from None
    if not isinstance(fields, dict):
        raise Problem(400, "invalid_json", "the body is no JSON object")
    return fields


def read_translation(fields: Fields) -> AskedTranslation:
    """Return what a body of `/translate` asks for.

    Raises:
        Problem: 400, with the field.
    """
    asked = read_fields(TranslateBody, fields)
    texts = (asked.q,) if isinstance(asked.q, str) else tuple(asked.q)
    return AskedTranslation(texts, asked.source, asked.target, is_list=not isinstance(asked.q, str))


def translated(asked: AskedTranslation, outcomes: Sequence[TextOutcome]) -> dict[str, Any]:
    """Return the body of the response of `/translate`.

    Raises:
        Problem: a text has no translation; 504: not in time.
    """
    results = [_result_of(outcome, TRANSLATION) for outcome in outcomes]
    body: dict[str, Any] = {"translatedText": [_translation(each) for each in results]}
    if is_auto(asked.source):
        body["detectedLanguage"] = [_detected(each) for each in results]
    body["sprat"] = [about(outcome, result) for outcome, result in zip(outcomes, results, strict=True)]
    return body if asked.is_list else {name: values[0] for name, values in body.items()}


def read_detection(fields: Fields) -> dict[str, Any]:
    """Return the event's body of what `/detect` asks for.

    Raises:
        Problem: 400, with the field.
    """
    return {"text": read_fields(DetectBody, fields).q, "language": AUTO, "tasks": {LANGUAGE_ID: {}}}


def detections(outcome: TextOutcome) -> list[dict[str, Any]]:
    """Return the body of the response of `/detect`: the likeliest language first.

    Raises:
        Problem: the text has no Result; 504: not in time.
    """
    result = _result_of(outcome, LANGUAGE_ID)
    output = result.output
    if not isinstance(output, IntentOutput):
        raise _unanswered(result)
    others = [each for each in output.alternatives if each.label != output.label]
    first = _guess(output.label or UNDETERMINED, result.confidence if output.label else 0.0)
    return [first, *(_guess(each.label, each.probability) for each in others)]


def languages(pairs: Mapping[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Return the body of the response of `/languages`.

    Args:
        pairs: language that is read → languages that it is translated into.
    """
    targets = (target for into in pairs.values() for target in into)
    return [
        {"code": code, "name": LANGUAGE_NAMES.get(primary_subtag(code), code), "targets": list(pairs.get(code, ()))}
        for code in dict.fromkeys([*pairs, *targets])
    ]


def _result_of(outcome: TextOutcome, task: str) -> Result:
    if task in outcome.results:
        return outcome.results[task]
    for rejection in outcome.rejected:
        raise Problem(400, rejection.code, rejection.detail)
    raise no_answer(outcome)


def _translation(result: Result) -> str:
    if not isinstance(result.output, TranslationOutput):
        raise _unanswered(result)
    return result.output.text


def _unanswered(result: Result) -> Problem:
    code = result.declined.code if result.declined else "unanswered"
    # Never 500, which says that the gateway has a defect, and wakes somebody.
    status = 501 if code == ReasonCode.NO_SERVICE else 400 if code in _OF_THE_REQUEST else 502
    return Problem(status, code, why_no_answer(result))


def _detected(result: Result) -> dict[str, Any]:
    found = result.language_detected
    return _guess(UNDETERMINED, 0.0) if found is None else _guess(found.language, found.confidence)


def _guess(language: str, confidence: float | None) -> dict[str, Any]:
    return {"confidence": round(100 * (confidence or 0.0), 2), "language": language}


@dataclass(frozen=True, slots=True)
class _Asked:
    caller: Caller
    fields: Fields


async def _asked(request: Request) -> _Asked:
    """Return the fields, and who sends them: by a header, else by `api_key`, as clients of LibreTranslate have it."""
    admission = admission_of(request)
    if "authorization" in request.headers:
        await admission.of(request)  # before the body: it may then be as large as others
    fields = fields_of(content_type(request.headers), await request.body())
    key = fields.get("api_key")
    by_field = isinstance(key, str) and "authorization" not in request.headers
    caller = admission.by_key(request, str(key)) if by_field else await admission.of(request)
    check_role(caller, "send")
    return _Asked(caller, fields)


_Sent = Annotated[_Asked, Depends(_asked)]


@router.post("/translate", openapi_extra=described(TranslateBody, _FORM), summary="Translate texts")
async def translate(request: Request, sent: _Sent) -> dict[str, Any]:
    """Translate a text or several, as LibreTranslate does."""
    asked = read_translation(sent.fields)
    return translated(asked, await asking_of(request).submit(request, sent.caller, asked.bodies))


@router.post("/detect", openapi_extra=described(DetectBody, _FORM), summary="Detect a language")
async def detect(request: Request, sent: _Sent) -> list[dict[str, Any]]:
    """Detect the language of a text, as LibreTranslate does."""
    (outcome,) = await asking_of(request).submit(request, sent.caller, [read_detection(sent.fields)])
    return detections(outcome)


@router.get("/languages", summary="Languages of the translation model")
async def supported(request: Request, _: _Sent) -> list[dict[str, Any]]:
    """Return the languages of the translation model, as LibreTranslate does."""
    return languages(asking_of(request).catalogue.pairs)
