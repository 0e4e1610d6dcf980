"""Results and dead letters in words: one snapshot of what people read, and what holds of every line."""

import json
import time

import pytest
from rich.cells import cell_len

from sprat_cli.options import parse_span
from sprat_cli.render import (
    answer,
    brief_dead_letter,
    brief_result,
    cost,
    dead_letter,
    dead_letter_json,
    format_confidence,
    result_json,
    result_line,
    result_lines,
    route,
)
from sprat_cli.terminal import fit, printable, table
from sprat_cli.traffic import traffic_line
from sprat_contracts import (
    Cause,
    DeadLetterReason,
    Declined,
    Egress,
    Entity,
    Envelope,
    IntentOutput,
    LanguageDetected,
    ModelRef,
    NerOutput,
    Record,
    Route,
    SmallAnswer,
    TextWarning,
    TierStep,
    Traceparent,
    TranslationOutput,
)
from sprat_contracts.ids import plain_text_identity
from sprat_operations.dead_letters import DeadLetter, read_dead_letter
from sprat_operations.record_summary import RecordKind, summarise
from sprat_operations.result_stream import StoredResult
from sprat_operations.traffic import TrafficFigures
from support.cli_records import kept, unanswered
from support.snapshots import matches_snapshot

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"
LONG = "äöü 東京 " * 40
SIMULATOR = Egress(left=True, masked={"IBAN": 1}, provider="simulator", region="local", simulated=True)
MISTRAL = Egress(left=True, masked={"IBAN": 1, "EMAIL": 2}, provider="mistral_ai", region="eu")
UNSURE = Route(decision="escalated", reason="low_confidence", threshold=0.8)
SMALL = SmallAnswer(model=ModelRef(name="m", version="1"), labels=("badge",), confidence=0.614)


@pytest.fixture(autouse=True)
def in_utc(monkeypatch):
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def seen(result):
    return StoredResult(Envelope("result-1", "/router", Traceparent.parse(TRACEPARENT)), result, decided_at=1_041)


def step(name, outcome, **more):
    return TierStep(**({"tier": name, "provider": name, "outcome": outcome} | more))


def escalated(*steps, **more):
    """A Result of a large model."""
    fields = {"source": "frontier", "confidence": None, "route": UNSURE} | more
    return kept(**fields).model_copy(update={"tiers": steps})


def degraded(code, detail="", *steps, **more):
    """A Result of the small model, after a large one declined."""
    declined = Declined(code=code, detail=detail)
    return kept(**({"status": "degraded", "route": UNSURE, "declined": declined} | more)).model_copy(
        update={"tiers": steps}
    )


def sent(provider, *, masked=True, **more):
    return Egress(provider=provider, left=True, masked={"PERSON": 1} if masked else {}, **more)


GERMAN = {"task": "translation", "output": TranslationOutput(text="Hallo\n\x1b[2JWelt\u202e", target="de")}
NAMES = tuple(Entity(start=9 * n, end=9 * n + 4, text=f"Ann{n}", label="PER", probability=0.9) for n in range(10))
CAUSES = (Cause(code="no_service", detail="no model intent/hrr served; did you mean hr?"), Cause(code="policy"))
RESULTS = {
    "kept": kept(),
    "from the cache, of a model by name": kept(cached=True, asked_model="hr"),
    "one of the labels asked for, for want of the likeliest": kept(confidence=0.9, renormalised=True),
    "a language is detected": kept(
        language="auto", language_detected=LanguageDetected(language="nl", confidence=0.978)
    ),
    "no language is detected": kept(language="auto", language_detected=LanguageDetected(language="en", confidence=0.0)),
    "what was not understood": kept(
        warnings=(TextWarning(code="unknown_field", detail="tenent,\x1b did you mean tenant?"),)
    ),
    "outside every intent": kept(output=IntentOutput(label=None)),
    "outside every label of a task from a file": kept(output=IntentOutput(label=None)).model_copy(
        update={"task": "desk"}
    ),
    "names": kept(task="ner", output=NerOutput(entities=NAMES)),
    "names, some of them uncertain": kept(
        task="ner", output=NerOutput(entities=(NAMES[0], NAMES[1].model_copy(update={"uncertain": True})))
    ),
    "no names": kept(task="ner", output=NerOutput(entities=())),
    "a translation moves no cursor": kept(**GERMAN),
    "a text that is its own translation": kept(
        **GERMAN, model=ModelRef(name="en-de", version="2f8d51a09c3e", stage="unchanged")
    ),
    "a large model": escalated(egress=MISTRAL, cost_eur=0.00012),
    "a simulator, whose cost is not paid": escalated(egress=SIMULATOR, cost_eur=0.000113),
    "a simulator among the tiers": escalated(
        step("cheap", "unsure", label="badge", cost_eur=0.002, egress=sent("x", region="eu")),
        step("large", "kept", label="badge", cost_eur=0.001, egress=SIMULATOR),
        egress=SIMULATOR,
        cost_eur=0.003,
    ),
    "tiers, of which each shows its cost": escalated(
        step("house", "unsure", label="transfer", confidence=0.4),
        step("cheap", "invalid_answer", cost_eur=0.00012),
        step("gone", "provider", egress=Egress(left=False, provider="gone", masked={})),
        step("large", "kept", label="balance", cost_eur=0.002),
        cost_eur=0.00212,
    ),
    "a tier of the house is not called the frontier": escalated(step("house", "kept", label="transfer")),
    "every provider that received the text": escalated(
        step("fakeai", "unsure", egress=sent("fakeai", region="local", simulated=True)),
        egress=sent("fakebig", region="eu"),
    ),
    "the whole text to one, a masked one to another": escalated(
        step("fakeai", "unsure", egress=sent("fakeai", region="local", simulated=True)),
        egress=sent("fakebig", masked=False, region="eu"),
    ),
    "the small model before the tiers": escalated(step("house", "kept"), small=SMALL),
    "the small model outside every label": escalated(
        step("house", "kept"), small=SMALL.model_copy(update={"labels": ()})
    ),
    "degraded": degraded("masking", confidence=0.61),
    "degraded, and the small model is the answer": degraded("masking", small=SMALL),
    "a simulator without an answer": degraded("no_gold", "the simulator has no answer", egress=SIMULATOR),
    "what the policy keeps here": degraded("policy", "the text says frontier: deny"),
    "what the policy keeps here, unsaid": degraded("policy"),
    "tiers that were not asked": degraded(
        "task",
        "no large model is asked for the task pii",
        *(step(code, code) for code in ("no_confidence", "task", "policy")),
    ),
    "unanswered": unanswered(),
    "unanswered, with all causes": unanswered(
        declined=Declined(code=CAUSES[0].code, detail=CAUSES[0].detail, causes=CAUSES)
    ),
}


def letter_of(headers, code="invalid_cloudevent", detail="id: missing") -> DeadLetter:
    reason = DeadLetterReason(code, detail, "sprat.texts.v1", 3, 17, 1_000, "router", "0.1.0")
    return read_dead_letter(Record("sprat.dead-letters.v1", 0, 5, 1_050, None, b"{}", reason.headers(headers)))


EVENT = [("ce_id", b"id\x1b-1"), ("ce_source", b"/test"), ("traceparent", TRACEPARENT.encode())]
LETTERS = {
    "of an event": letter_of(EVENT, "invalid_text", "text: blank"),
    "of a plain text": letter_of((), "invalid_text", "text: blank"),
    "without a source": letter_of([("ce_specversion", b"1.0"), ("CE_ID", b"b-14")], detail="header ce_source: missing"),
    "without an id": letter_of([("ce_specversion", b"1.0")], detail="header ce_id: missing"),
}


def test_what_people_read():
    shown = []
    for name, result in RESULTS.items():
        shown += [f"# {name}", *result_lines(seen(result))]
    for name in ("kept", "what was not understood", "a simulator among the tiers", "degraded", "unanswered"):
        result = seen(RESULTS[name])
        shown += [f"# in one line: {name}", brief_result(result, None), result_line(result)]
    for name, letter in LETTERS.items():
        shown += [f"# a dead letter {name}", brief_dead_letter(letter, None), dead_letter(letter)]
    assert matches_snapshot("results", "\n".join([*shown, ""]))


def test_several_texts_are_told_apart_and_a_model_by_name_is_named():
    first, *_ = result_lines(seen(kept()), about="“please move…”", task="intent@hr")
    assert first == "intent@hr    transfer  97.6 % sure  “please move…”"


def test_the_line_of_figures_counts_no_text_twice_and_no_simulated_cost_as_paid():
    figures = TrafficFigures(texts=10, results=10, kept=6, escalated=4, degraded=3, unanswered=1)
    assert "  kept 6  escalated 4 (of these degraded 3, unanswered 1)  lag 0  " in traffic_line(figures)
    ends = []
    figures = TrafficFigures()
    for name in ("a large model", "a simulator, whose cost is not paid", "a simulator among the tiers"):
        figures.count(RESULTS[name].model_dump(mode="json"))
        ends.append(traffic_line(figures).partition("cost ")[2])
    assert ends == [
        "0.0001 EUR",
        "0.0002 EUR (0.0001 of it simulated)",
        "0.0032 EUR (0.0011 of it simulated)",
    ]


@pytest.mark.parametrize(
    ("confidence", "said"),
    [(1.0, "100.0 % sure"), (0.99999, "99.9 % sure"), (0.546, "54.6 % sure"), (0.0, "0.0 % sure")],
)
def test_certainty_is_never_rounded_up(confidence, said):
    assert format_confidence(kept(confidence=confidence)) == said


@pytest.mark.parametrize(
    ("euros", "said"), [(0, "€0"), (0.00012, "€0.00012"), (1.5, "€1.5"), (2.0, "€2"), (1e-9, "€<0.000001")]
)
def test_cost_is_written_as_people_do(euros, said):
    assert cost(euros) == said


@pytest.mark.parametrize("threshold", [None, 0.63])
def test_a_threshold_is_not_shown_where_there_is_no_confidence_to_compare_with_it(threshold):
    declined = Route(decision="escalated", reason="declined", threshold=threshold)
    assert route(kept(route=declined)) == "escalated: declined"


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"goal": 0.97, "evidence": "estimated", "level": 0.98}, "goal 0.97, reaches 0.98"),
        ({"goal": 0.97, "evidence": "certified", "level": 0.95}, "goal 0.97 certified, reaches 0.95"),
        ({"goal": 0.97, "evidence": "estimated", "threshold": 0.72}, "goal 0.97, needs 72 %"),
        ({"goal": 0.97, "evidence": "estimated"}, "goal 0.97"),
        ({"threshold": 0.725}, "needs 72.5 %"),
    ],
)
def test_the_route_says_goal_and_level_or_the_number_that_was_applied(fields, said):
    shown = route(kept(route=Route(decision="kept", reason="confident", **fields)))
    assert shown == f"kept: confident ({said})"
    value = {"prediction": {"confidence": 0.9}, "reasons": ["low_confidence"], "threshold": None} | fields
    assert summarise(RecordKind.request, value).sentence == f"escalated: low_confidence, {said}"


def test_what_a_prediction_is_worth_is_said():
    worth = {"estimated": 0.98, "certified": 0.95, "thresholds": "0123456789abcdef", "rows": 400}
    value = {"declined": None, "confidence": 0.91, "model": {"name": "small"}, "task": "intent"}
    value |= {"output": {"label": "transfer"}, "accuracy": worth}
    said = "small: transfer, 91.0 % sure, estimated 0.98, certified 0.95"
    assert summarise(RecordKind.prediction, value).sentence == said


@pytest.mark.parametrize("columns", [80, 100, 140, 200])
@pytest.mark.parametrize(
    "result",
    [
        kept(),
        escalated(egress=SIMULATOR),
        kept(task="translation", output=TranslationOutput(text=LONG, target="de"), status="degraded"),
        unanswered(),
        unanswered(declined=Declined(code="no_service", detail=LONG), warnings=(TextWarning(code="unknown_field"),)),
    ],
)
def test_a_brief_line_fits_the_terminal(result, columns):
    line = brief_result(seen(result), columns)
    assert "\n" not in line
    assert cell_len(line) <= columns
    assert line[10:20].strip() == result.status
    assert (result.text_id in line) == (columns >= 100)
    assert ("(simulated)" in line) == (result.source == "frontier")
    assert "41 ms" in line


def test_where_there_is_no_terminal_nothing_is_cut():
    long = kept(task="translation", output=TranslationOutput(text=LONG, target="de"))
    assert LONG.strip() in brief_result(seen(long), None)
    assert LONG.strip() in brief_result(seen(unanswered(declined=Declined(code="no_service", detail=LONG))), None)


@pytest.mark.parametrize(("columns", "has_id", "has_place"), [(40, False, False), (70, True, False), (140, True, True)])
def test_a_brief_dead_letter_fits_the_terminal_and_the_id_stays_longer_than_the_place(columns, has_id, has_place):
    line = brief_dead_letter(LETTERS["of an event"], columns)
    assert cell_len(line) <= columns
    assert ("id\ufffd-1" in line, "3@17" in line) == (has_id, has_place)


def test_a_dead_letter_for_machines_has_no_value_and_names_its_text_by_header_or_by_where_it_stood():
    written = {name: dead_letter_json(letter) for name, letter in LETTERS.items()}
    assert written["of an event"]["origin"] == {"topic": "sprat.texts.v1", "partition": 3, "offset": 17}
    assert "value" not in written["of an event"]
    source, text_id = plain_text_identity("sprat.texts.v1", 3, 17, 1_000)
    names = ("text_id", "text_source", "trace_id")
    assert [[each[name] for name in names] for each in written.values()] == [
        ["id\x1b-1", "/test", TRACE],
        [text_id, source, Traceparent.root(source, text_id).trace_id],
        ["b-14", None, None],
        [None, None, None],
    ]


def test_json_is_the_message_as_it_was_written():
    written = json.loads(json.dumps(result_json(seen(kept(new_field="kept")))))
    assert written["result"]["output"]["label"] == "transfer"
    assert written["result"]["new_field"] == "kept"
    assert (written["type"], written["trace_id"], written["total_ms"]) == ("result", TRACE, 41)


def test_foreign_text_is_cut_to_a_limit_and_other_scripts_stay():
    assert answer(kept(**GERMAN), limit=8) == "[de] Ha…"
    assert printable("👩‍💻 ماتریس Straße 漢字") == "👩‍💻 ماتریس Straße 漢字"


@pytest.mark.parametrize(
    ("text", "fitted"),
    [("ab", "ab   "), ("abcde", "abcde"), ("abcdef", "abcd…"), ("東京都", "東京…"), ("e\u0301fghi", "e\u0301fghi")],
)
def test_a_text_is_fitted_to_columns(text, fitted):
    assert fit(text, 5) == fitted


@pytest.mark.parametrize(("span", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("7d", 604_800)])
def test_spans_have_units(span, seconds):
    assert parse_span(span) == seconds


def test_tables_are_aligned():
    assert table([("a", "bb", "c"), ("aaa", "b", "")]) == ["a    bb  c", "aaa  b"]
