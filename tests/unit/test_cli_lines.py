"""Results and dead letters in words."""

import json
import re

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
    left,
    result_json,
    result_line,
    result_lines,
    route,
    who,
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
from sprat_operations.dead_letters import read_dead_letter
from sprat_operations.record_summary import RecordKind, summarise
from sprat_operations.result_stream import StoredResult
from sprat_operations.traffic import TrafficFigures
from support.cli_records import kept, unanswered

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
TRACEPARENT = f"00-{TRACE}-00f067aa0ba902b7-01"


def seen(result):
    return StoredResult(Envelope("result-1", "/router", Traceparent.parse(TRACEPARENT)), result, decided_at=1_041)


def test_a_text_that_is_its_own_translation_is_said_to_have_asked_no_model():
    model = ModelRef(name="en-de", version="2f8d51a09c3e")
    output = TranslationOutput(text="Hallo", target="de")
    assert who(kept(task="translation", output=output, model=model)) == "small model en-de 2f8d51a0"
    unchanged = kept(task="translation", output=output, model=model.model_copy(update={"stage": "unchanged"}))
    assert who(unchanged) == "small model en-de 2f8d51a0, not asked: the text is in the target's language"


def test_the_detected_language_is_shown():
    result = kept(language="auto", language_detected=LanguageDetected(language="nl", confidence=0.978))
    assert "01234567 · detected nl (97.8 %) · kept: confident" in result_lines(seen(result))[1]
    assert "· detected nl (97.8 %)" in result_line(seen(result))
    result = kept(language="auto", language_detected=LanguageDetected(language="en", confidence=0.0))
    assert "01234567 · no language detected, read as en · kept: confident" in result_lines(seen(result))[1]


def test_a_kept_answer_says_all_in_three_lines():
    first, second, ids = result_lines(seen(kept()), about="“please move…”")
    assert first == "intent       transfer  97.6 % sure  “please move…”"
    said = "small model en-fast 01234567 · kept: confident (needs 80 %) · nothing was sent to a provider · 41 ms · €0"
    assert second == f"{'':13}{said}"
    assert ids == f"{'':13}text_id {kept().text_id} · trace {TRACE}"


def test_a_task_that_was_asked_of_a_model_by_name_says_so():
    first, second, *_ = result_lines(seen(kept()), task="intent@hr")
    assert first.startswith("intent@hr    transfer")
    assert second.startswith(f"{'':13}small model")


def test_a_frontier_answer_says_who_received_it_and_what_was_masked():
    result = kept(
        source="frontier",
        confidence=None,
        model=ModelRef(name="mistral-medium-latest", version="mistral-medium-latest"),
        route=Route(decision="escalated", reason="low_confidence", threshold=0.8),
        egress=Egress(left=True, masked={"IBAN": 1, "EMAIL": 2}, provider="mistral_ai", region="eu"),
        cost_eur=0.00012,
    )
    first, second, *_ = result_lines(seen(result))
    assert first == "intent       transfer  how sure: unknown"
    assert "frontier model mistral-medium-latest · escalated: low_confidence (needs 80 %)" in second
    assert "sent to mistral_ai (eu), masked: 2 EMAIL, 1 IBAN · 41 ms · €0.00012" in second


def test_the_tiers_that_were_asked_are_named_with_what_they_said():
    result = kept().model_copy(
        update={
            "tiers": (
                TierStep(tier="house", provider="vllm", outcome="unsure", label="transfer", confidence=0.4),
                TierStep(tier="large", provider="mistral_ai", outcome="kept", label="balance"),
            )
        }
    )
    assert "· house: unsure transfer 40.0 % (€0) → large: kept balance (€0) ·" in result_lines(seen(result))[1]


def test_the_tier_that_answered_is_named_and_not_called_the_frontier():
    step = TierStep(tier="house", provider="vllm", outcome="kept", label="transfer", confidence=0.93)
    result = kept(source="frontier", confidence=None).model_copy(update={"tiers": (step,)})
    said = result_lines(seen(result))[1]
    assert "tier house, model en-fast 01234567 · " in said
    assert "frontier" not in said
    assert "nothing was sent to a provider" in said


def test_an_answer_of_a_simulator_says_so():
    egress = Egress(left=True, masked={"IBAN": 1}, provider="simulator", region="local", simulated=True)
    result = kept(source="frontier", confidence=None, egress=egress)
    first, second, *_ = result_lines(seen(result))
    assert first == "intent       transfer  how sure: unknown  (simulated)"
    assert "  how sure: unknown  (simulated)  · " in result_line(seen(result))
    assert "sent to simulator (local, simulated), masked: 1 IBAN" in second
    declined = kept(status="degraded", declined=Declined(code="no_gold"), egress=egress)
    assert result_lines(seen(declined))[0] == "intent       transfer  97.6 % sure  (degraded)"
    detail = "the simulator has no answer to this text in its file of answers"
    declined = kept(status="degraded", declined=Declined(code="no_gold", detail=detail), egress=egress)
    why = f"but the frontier declined: no_gold: {detail}"
    assert why in result_lines(seen(declined))[1]
    assert why in result_line(seen(declined))


def test_what_a_simulator_would_cost_is_not_shown_as_a_price_that_was_paid():
    simulator = Egress(left=True, masked={}, provider="simulator", region="local", simulated=True)
    result = kept(source="frontier", confidence=None, egress=simulator, cost_eur=0.000113)
    for line in (result_lines(seen(result))[1], result_line(seen(result))):
        assert " ms · €0.000113 (simulated)" in line
    real = simulator.model_copy(update={"simulated": False})
    assert "€0.000113 (" not in result_lines(seen(result.model_copy(update={"egress": real})))[1]
    steps = (
        TierStep(tier="cheap", provider="x", outcome="unsure", label="badge", cost_eur=0.002, egress=real),
        TierStep(tier="large", provider="simulator", outcome="kept", label="badge", cost_eur=0.001, egress=simulator),
    )
    mixed = result.model_copy(update={"tiers": steps, "cost_eur": 0.003})
    said = result_lines(seen(mixed))[1]
    assert "cheap: unsure badge (€0.002) → large: kept badge (€0.001, simulated) ·" in said
    assert "€0.003 (€0.001 of it simulated)" in said

    figures = TrafficFigures()
    for each in (result, kept()):
        figures.count(each.model_dump(mode="json"))
    assert traffic_line(figures).endswith("cost 0.0001 EUR (simulated)")
    figures.count(mixed.model_dump(mode="json"))
    assert traffic_line(figures).endswith("cost 0.0031 EUR (0.0011 of it simulated)")
    paid = TrafficFigures()
    paid.count(result.model_copy(update={"egress": real}).model_dump(mode="json"))
    assert traffic_line(paid).endswith("cost 0.0001 EUR")


def test_a_degraded_answer_says_so_and_why():
    result = kept(status="degraded", confidence=0.61, declined=Declined(code="masking"))
    first, second, *_ = result_lines(seen(result))
    assert first == "intent       transfer  61.0 % sure  (degraded)"
    assert "but the frontier declined: masking" in second


def test_a_text_that_the_policy_does_not_let_leave_is_not_said_to_have_been_declined_by_a_model():
    declined = Declined(code="policy", detail="the text says frontier: deny")
    result = kept(status="degraded", route=Route(decision="escalated", reason="low_confidence"), declined=declined)
    for line in (result_lines(seen(result))[1], result_line(seen(result))):
        assert "escalated: low_confidence, but it stayed here: the text says frontier: deny" in line
        assert "declined" not in line
    unsaid = kept(status="degraded", route=result.route, declined=Declined(code="policy"))
    assert "but the policy kept it here" in result_line(seen(unsaid))


def test_a_brief_line_says_why_an_answer_is_degraded_and_leaves_room_for_the_longest_task():
    result = kept(status="degraded", confidence=0.61, declined=Declined(code="policy"), asked_model="anliegen")
    line = brief_result(seen(result), None)
    assert re.search(r"degraded    intent@anliegen  transfer +\(policy\) +61\.0 %", line)
    assert cell_len(line) == cell_len(brief_result(seen(kept()), None, len("intent@anliegen")))
    assert "answered    intent           transfer  " in brief_result(seen(kept()), None, 15)


def test_the_line_of_figures_counts_no_text_twice():
    figures = TrafficFigures(texts=10, results=10, kept=6, escalated=4, degraded=3, unanswered=1)
    assert "  kept 6  escalated 4 (of these degraded 3, unanswered 1)  lag 0  " in traffic_line(figures)


def test_no_answer_says_why():
    assert result_lines(seen(unanswered()))[0] == "intent       no answer: no_labels: no labels are announced"
    assert who(unanswered()) == "no model"


def test_all_causes_are_said_the_first_one_first():
    first = Cause(code="no_service", detail="no model intent/hrr served; did you mean hr?")
    declined = Declined(code=first.code, detail=first.detail, causes=(first, Cause(code="policy", detail="nothing")))
    said = "no answer: no_service: no model intent/hrr served; did you mean hr?; then policy: nothing"
    assert answer(unanswered(declined=declined)) == said
    assert said in result_line(seen(unanswered(declined=declined)))


def test_what_was_not_understood_is_said():
    result = kept(warnings=(TextWarning(code="unknown_field", detail="tenent,\x1b did you mean tenant?"),))
    said = "warning: unknown_field: tenent,\ufffd did you mean tenant?"
    assert result_lines(seen(result))[1].strip() == said
    assert f"  · {said}  · small model" in result_line(seen(result))


def test_outside_every_intent_is_an_answer():
    assert answer(kept(output=IntentOutput(label=None))) == "none of the known intents"


def test_names_are_listed():
    entities = tuple(
        Entity(start=9 * place, end=9 * place + 4, text=f"Ann{place}", label="PER", probability=0.9)
        for place in range(10)
    )
    assert answer(kept(task="ner", output=NerOutput(entities=entities[:2]))) == "PER “Ann0”, PER “Ann1”"
    assert answer(kept(task="ner", output=NerOutput(entities=entities))).endswith("PER “Ann7” and 2 more")
    assert answer(kept(task="ner", output=NerOutput(entities=()))) == "no names"


def test_a_translation_stays_on_its_line_and_moves_no_cursor():
    output = TranslationOutput(text="Hallo\n\x1b[2JWelt\u202e", target="de")
    assert answer(kept(task="translation", output=output)) == "[de] Hallo⏎\ufffd[2JWelt\ufffd"
    assert answer(kept(task="translation", output=output), limit=8) == "[de] Ha…"


def test_emoji_and_other_scripts_are_shown_as_they_are():
    assert printable("👩‍💻 ماتریس Straße 漢字") == "👩‍💻 ماتریس Straße 漢字"


@pytest.mark.parametrize(
    ("confidence", "said"),
    [
        (1.0, "100.0 % sure"),
        (0.99999, "99.9 % sure"),
        (0.546, "54.6 % sure"),
        (0.0, "0.0 % sure"),
        (None, "how sure: unknown"),
    ],
)
def test_certainty_is_never_rounded_up(confidence, said):
    assert format_confidence(kept(confidence=confidence)) == said


@pytest.mark.parametrize(
    ("euros", "said"), [(0, "€0"), (0.00012, "€0.00012"), (1.5, "€1.5"), (2.0, "€2"), (1e-9, "€<0.000001")]
)
def test_cost_is_written_as_people_do(euros, said):
    assert cost(euros) == said


def test_what_came_from_the_cache_says_so():
    assert who(kept(cached=True)) == "small model en-fast 01234567, from the cache"


def test_what_did_not_leave_says_so():
    assert left(kept(egress=Egress(left=False, masked={"IBAN": 1}))) == "nothing was sent to a provider"
    assert left(kept(egress=None)) == "nothing was sent to a provider"


def test_every_provider_that_received_the_text_is_named_and_no_other():
    def step(name, outcome, **egress):
        return TierStep(tier=name, provider=name, outcome=outcome, egress=Egress(provider=name, **egress))

    first = step("fakeai", "unsure", left=True, region="local", simulated=True, masked={"PERSON": 1})
    refused = step("gone", "provider", left=False, region=None)
    last = Egress(left=True, region="eu", provider="fakebig", masked={"PERSON": 1})
    result = kept(source="frontier", egress=last).model_copy(update={"tiers": (first, refused)})
    assert left(result) == "sent to fakeai (local, simulated) and to fakebig (eu); masked in each: 1 PERSON"
    whole = result.model_copy(update={"egress": last.model_copy(update={"masked": {}})})
    assert left(whole) == "sent to fakeai (local, simulated), masked: 1 PERSON; to fakebig (eu)"
    assert left(whole) in result_line(seen(whole))


def test_what_the_small_model_said_of_an_escalated_text_is_shown_before_what_the_tiers_said():
    small = SmallAnswer(model=ModelRef(name="m", version="1"), labels=("badge",), confidence=0.614)
    result = kept(source="frontier", confidence=None).model_copy(update={"small": small})
    assert "· small: badge 61.4 % ·" in result_lines(seen(result))[1]
    step = TierStep(tier="house", provider="vllm", outcome="kept")
    result = result.model_copy(update={"tiers": (step,)})
    assert "· small: badge 61.4 % → house: kept" in result_line(seen(result))
    outside = small.model_copy(update={"labels": ()})
    result = result.model_copy(update={"small": outside})
    assert "· small: outside every label 61.4 % → house: kept outside every label (€0)" in result_line(seen(result))
    degraded = kept(status="degraded").model_copy(update={"small": small})
    assert "small: badge" not in result_line(seen(degraded)), "it is the answer"


def test_each_tier_of_the_chain_shows_what_it_cost():
    steps = (
        TierStep(tier="house", provider="vllm", outcome="unsure", label="badge", confidence=0.4, cost_eur=0),
        TierStep(tier="cheap", provider="x", outcome="invalid_answer", cost_eur=0.00012),
        TierStep(tier="gone", provider="y", outcome="provider", cost_eur=0),
        TierStep(tier="large", provider="z", outcome="kept", label="badge", cost_eur=0.002),
    )
    result = kept(source="frontier", confidence=None, cost_eur=0.00212).model_copy(update={"tiers": steps})
    first, last = "house: unsure badge 40.0 % (€0) → cheap: invalid_answer (€0.00012)", "large: kept badge (€0.002)"
    assert f"· {first} → gone: provider → {last} ·" in result_lines(seen(result))[1]
    declined = Declined(code="unsure")
    assert "but the tiers declined: unsure" in route(
        kept(status="degraded", declined=declined).model_copy(update={"tiers": steps[:1]})
    )


def test_a_tier_that_was_not_asked_is_said_not_to_have_been():
    steps = tuple(TierStep(tier=code, provider="x", outcome=code) for code in ("no_confidence", "task", "policy"))
    declined = Declined(code="task", detail="no large model is asked for the task pii")
    result = kept(status="degraded", declined=declined).model_copy(update={"tiers": steps})
    said = result_lines(seen(result))[1]
    assert "no_confidence: not asked, its answer would have no confidence → task: not asked for this task" in said
    assert "→ policy: not asked, the policy lets nothing leave to it ·" in said
    assert "but the tiers declined: no large model is asked for the task pii" in said


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


LONG = "äöü 東京 " * 40


@pytest.mark.parametrize("columns", [80, 100, 140, 200])
@pytest.mark.parametrize(
    "result",
    [
        kept(),
        kept(source="frontier", confidence=None, egress=Egress(left=True, masked={}, simulated=True)),
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


def test_where_there_is_no_terminal_a_brief_line_has_the_id(letter):
    assert brief_result(seen(kept()), None).endswith(f"  97.6 %      41 ms  {kept().text_id}")
    assert brief_dead_letter(letter, None).endswith(
        "dead letter  invalid_text: text: blank  id\ufffd-1  sprat.texts.v1 3@17"
    )
    assert cell_len(brief_dead_letter(letter, 40)) == 40


def test_where_there_is_no_terminal_nothing_is_cut():
    long = kept(task="translation", output=TranslationOutput(text=LONG, target="de"))
    assert LONG.strip() in brief_result(seen(long), None)
    reason = Declined(code="no_service", detail="no model intent/hr served when the text arrived; is it running? " * 3)
    assert reason.detail.strip() in brief_result(seen(unanswered(declined=reason)), None)


@pytest.mark.parametrize(("columns", "has_id", "has_place"), [(40, False, False), (70, True, False), (140, True, True)])
def test_a_brief_dead_letter_fits_the_terminal_and_the_id_stays_longer_than_the_place(
    letter, columns, has_id, has_place
):
    line = brief_dead_letter(letter, columns)
    assert cell_len(line) <= columns
    assert ("id\ufffd-1" in line, "3@17" in line) == (has_id, has_place)


def letter_of(headers, code="invalid_cloudevent", detail="id: missing"):
    reason = DeadLetterReason(code, detail, "sprat.texts.v1", 3, 17, 1_000, "router", "0.1.0")
    return read_dead_letter(Record("sprat.dead-letters.v1", 0, 5, 1_050, None, b"{}", reason.headers(headers)))


def test_a_dead_letter_with_an_id_and_no_source_has_its_id():
    letter = letter_of([("ce_specversion", b"1.0"), ("CE_ID", b"b-14")], detail="header ce_source: missing")
    assert brief_dead_letter(letter, None).endswith("header ce_source: missing  b-14  sprat.texts.v1 3@17")
    assert (letter.identity, letter.text_id, dead_letter_json(letter)["text_id"]) == (None, "b-14", "b-14")


def test_a_dead_letter_without_an_id_has_its_place():
    letter = letter_of([("ce_specversion", b"1.0")], detail="header ce_id: missing")
    assert brief_dead_letter(letter, None).endswith("header ce_id: missing  sprat.texts.v1 3@17")
    assert "· has no id · trace" in dead_letter(letter)


@pytest.mark.parametrize(
    ("text", "fitted"),
    [("ab", "ab   "), ("abcde", "abcde"), ("abcdef", "abcd…"), ("東京都", "東京…"), ("e\u0301fghi", "e\u0301fghi")],
)
def test_a_text_is_fitted_to_columns(text, fitted):
    assert fit(text, 5) == fitted


def test_a_long_line_holds_everything():
    line = result_line(seen(kept(tenant="acme")))
    assert "\n" not in line
    for part in ("answered", "intent", "transfer", "97.6 % sure", "small model", "kept", "41 ms", "€0", "acme", TRACE):
        assert part in line


def test_json_is_the_message_as_it_was_written():
    written = json.loads(json.dumps(result_json(seen(kept(new_field="kept")))))
    assert written["result"]["output"]["label"] == "transfer"
    assert written["result"]["new_field"] == "kept"
    assert (written["type"], written["trace_id"], written["total_ms"]) == ("result", TRACE, 41)


@pytest.fixture
def letter():
    given = {"ce_id": "id\x1b-1", "ce_source": "/test", "traceparent": TRACEPARENT}
    return letter_of([(name, value.encode()) for name, value in given.items()], "invalid_text", "text: blank")


def test_a_dead_letter_says_why_who_and_where(letter):
    line = dead_letter(letter)
    assert "invalid_text: text: blank  · by router 0.1.0 · sprat.texts.v1 3@17" in line
    assert f"· from /test · id\ufffd-1 · trace {TRACE}" in line


def test_a_dead_letter_is_json_without_its_value(letter):
    written = dead_letter_json(letter)
    assert written["origin"] == {"topic": "sprat.texts.v1", "partition": 3, "offset": 17}
    assert (written["code"], written["trace_id"]) == ("invalid_text", TRACE)


def test_a_dead_letter_of_a_plain_text_has_the_id_and_the_trace_that_follow_from_where_it_stood():
    letter = letter_of((), "invalid_text", "text: blank")
    source, text_id = plain_text_identity("sprat.texts.v1", 3, 17, 1_000)
    trace = Traceparent.root(source, text_id).trace_id
    assert f"· {text_id} · trace {trace}" in dead_letter(letter)
    fields = dead_letter_json(letter)
    assert (fields["letter"], fields["text_id"], fields["text_source"], fields["trace_id"]) == (
        "0:5",
        text_id,
        source,
        trace,
    )


def test_a_dead_letter_of_what_says_no_id_says_so():
    assert "· has no id · trace unknown" in dead_letter(letter_of([("ce_type", b"x")]))


@pytest.mark.parametrize(("span", "seconds"), [("30s", 30), ("10m", 600), ("2h", 7200), ("7d", 604_800)])
def test_spans_have_units(span, seconds):
    assert parse_span(span) == seconds


def test_tables_are_aligned():
    assert table([("a", "bb", "c"), ("aaa", "b", "")]) == ["a    bb  c", "aaa  b"]


def test_an_answer_outside_all_labels_names_the_task_that_is_not_intent():
    none = kept().model_copy(update={"output": IntentOutput(label=None, alternatives=())})
    assert result_lines(seen(none))[0].startswith("intent       none of the known intents")
    assert "outside every label of desk" in result_lines(seen(none.model_copy(update={"task": "desk"})))[0]
