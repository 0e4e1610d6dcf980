"""`redact`: mask, ask, restore; stored, shared and audited data contains placeholders and counts alone."""

import asyncio
import json
import threading

import pytest

from sprat.base.errors import UserError
from sprat_contracts import Egress, Entity, IntentOutput, NerOutput, TranslationOutput, Usage
from sprat_frontier.errors import ProviderError
from sprat_frontier.fair_queue import Sender
from sprat_frontier.redaction import Redactor
from sprat_policy import PrivacyPolicy
from sprat_privacy.detectors.fixed import fixed_detectors
from support import frontier_parts as parts
from support.detectors import Broken, Words
from support.panics import PanicException

TEXT = "Zoë Ångström (zoe@example.org) of Tromsø, and Siemens: Zoë calls."
MASKED = "[PERSON_1] ([EMAIL_1]) of [LOCATION_1], and Siemens: [PERSON_2] calls."
COUNTS = {"EMAIL": 1, "LOCATION": 1, "PERSON": 2}
VALUES = ("Zoë", "Ångström", "zoe@example.org", "Tromsø")


def left(frontier) -> Egress:
    """Return what an answer says of what left by the last call."""
    call_id = frontier.audit.records[-1].call_id
    return Egress(left=True, masked=COUNTS, provider="simulated", region="eu", call_id=call_id)


def redact_request(task: str = "intent", text: str = TEXT, **changes):
    return parts.request(text, task, **({"frontier": "redact"} | changes))


def frontier_with_translation(text: str) -> parts.FrontierHarness:
    return parts.FrontierHarness(parts.FakeProvider(lambda _: TranslationOutput(text=text, target="de")))


def stored_and_audited(frontier: parts.FrontierHarness) -> str:
    """Return all data outside the process other than the answer: the store and the audit."""
    stored = [[key, json.loads(value)] for key, value in frontier.store.values.items()]
    audited = [record.model_dump(mode="json") for record in frontier.audit.records]
    return json.dumps([stored, audited], ensure_ascii=False)


async def test_an_intent_is_requested_with_the_masked_text():
    frontier = parts.FrontierHarness()
    answered = await frontier.answer(redact_request())
    assert answered.output == IntentOutput(label="transfer")
    assert [question.text for question in frontier.provider.questions] == [MASKED]
    assert (answered.egress, answered.sent) == (left(frontier), MASKED)
    assert answered.request.prediction.submitted.text == TEXT


async def test_a_text_without_personal_data_leaves_unchanged():
    frontier = parts.FrontierHarness()
    answered = await frontier.answer(redact_request(text="please move 100 euros"))
    assert frontier.provider.questions[0].text == "please move 100 euros"
    assert (answered.egress.left, answered.egress.masked) == (True, {})
    assert answered.sent == "please move 100 euros"


async def test_entities_are_in_the_original_text_and_masked_values_have_their_own_type():
    answer = NerOutput(
        entities=(
            Entity(start=0, end=10, text="[PERSON_1]", label="PER"),
            Entity(start=12, end=21, text="[EMAIL_1]", label="MISC"),
            Entity(start=44, end=51, text="Siemens", label="ORG"),
        )
    )
    frontier = parts.FrontierHarness(parts.FakeProvider(lambda _: answer))
    answered = await frontier.answer(redact_request("ner"))
    assert frontier.provider.questions[0].text == MASKED
    entities = answered.output.entities
    assert [(one.text, one.label) for one in entities] == [
        ("Zoë Ångström", "PER"),
        ("zoe@example.org", "EMAIL"),
        ("Tromsø", "LOC"),
        ("Siemens", "ORG"),
        ("Zoë", "PER"),
    ]
    assert all(TEXT[one.start : one.end] == one.text for one in entities)


async def test_a_translation_is_restored_with_its_values():
    frontier = frontier_with_translation("[PERSON_2] ruft an; [PERSON_1] ([EMAIL_1]) aus [LOCATION_1], und Siemens.")
    answered = await frontier.answer(redact_request("translation"))
    assert answered.output.text == "Zoë ruft an; Zoë Ångström (zoe@example.org) aus Tromsø, und Siemens."


@pytest.mark.parametrize(
    "translation",
    [
        "[PERSON_1] ([EMAIL_1]) aus [LOCATION_1], und Siemens.",
        "[PERSON_1] [PERSON_1] ([EMAIL_1]) aus [LOCATION_1]: [PERSON_2].",
        "[PERSON_1] ([EMAIL_1]) aus [LOCATION_1]: [PERSON_2], [PERSON_3].",
        "[person_1] ([EMAIL_1]) aus [LOCATION_1]: [PERSON_2].",
    ],
    ids=["lost", "doubled", "invented", "other case"],
)
async def test_a_translation_with_changed_placeholders_is_declined_billed_and_not_stored(metrics, translation):
    frontier = frontier_with_translation(translation)
    answered = await frontier.answer(redact_request("translation"))
    assert (answered.output, answered.declined.code) == (None, "masking")
    assert "each placeholder" in answered.declined.detail
    assert (answered.egress, answered.sent) == (left(frontier), MASKED)
    assert (answered.usage, answered.cost_eur) == (
        Usage(input_tokens=1000, output_tokens=10),
        pytest.approx(0.00206),
    )
    assert not frontier.store.values
    assert metrics.value("sprat.escalations", result="declined", reason="masking") == 1
    assert metrics.value("sprat.escalations") == 1


async def test_store_and_audit_hold_no_masked_value():
    frontier = frontier_with_translation("[PERSON_2] ruft [PERSON_1] ([EMAIL_1]) aus [LOCATION_1] an.")
    answered = await frontier.answer(redact_request("translation"))
    assert "Ångström" in answered.output.text
    words = stored_and_audited(frontier)
    assert "[PERSON_2] ruft [PERSON_1]" in words
    assert [value for value in VALUES if value in words] == []


async def test_both_egress_records_have_counts_by_type_and_the_hash_of_the_submitted_text():
    frontier = parts.FrontierHarness()
    await frontier.answer(redact_request())
    assert frontier.audit.phases == [("attempt", None), ("outcome", "answered")]
    assert [record.masked for record in frontier.audit.records] == [COUNTS, COUNTS]
    assert {record.text_hash for record in frontier.audit.records} == {parts.keyed_hash("egress-text", "acme", TEXT)}


async def test_a_stored_answer_is_restored_with_the_values_of_each_text():
    frontier = frontier_with_translation("Guten Tag, [PERSON_1]")
    detectors = (Words({"Zoë": "PERSON", "Ada": "PERSON"}),)
    frontier.redactor = Redactor(detectors, PrivacyPolicy(), "1")
    frontier.restart()
    first = await frontier.answer(redact_request("translation", "Hello, Zoë"))
    second = await frontier.answer(redact_request("translation", "Hello, Ada", id="t-2"))
    assert [first.output.text, second.output.text] == ["Guten Tag, Zoë", "Guten Tag, Ada"]
    assert (first.cached, second.cached, len(frontier.provider.questions)) == (False, True, 1)
    assert (second.egress.masked, second.sent) == ({"PERSON": 1}, "Hello, [PERSON_1]")


async def test_a_redelivered_request_reports_the_same_as_the_first():
    frontier = frontier_with_translation("[PERSON_2] ruft [PERSON_1] ([EMAIL_1]) aus [LOCATION_1] an.")
    first = await frontier.answer(redact_request("translation"))
    frontier.restart()
    frontier.clock.ms += 60_000
    again = await frontier.answer(redact_request("translation"))
    assert len(frontier.provider.questions) == 1
    assert again.model_dump(exclude={"timings_ms"}) == first.model_dump(exclude={"timings_ms"})


async def test_allow_and_redact_do_not_share_answers():
    frontier = parts.FrontierHarness()
    for rule in ("allow", "redact", "allow", "redact"):
        await frontier.answer(redact_request(text="please move 100 euros", frontier=rule, id=f"t-{rule}"))
    assert len(frontier.provider.questions) == 2
    assert len(frontier.store.values) == 2


@pytest.mark.parametrize(
    "other",
    [
        Redactor(parts.DETECTORS, PrivacyPolicy(), "2"),
        Redactor(parts.DETECTORS, PrivacyPolicy(validators_alone=("fi",)), "1"),
    ],
    ids=["another tagger", "another policy"],
)
async def test_an_answer_stored_under_another_masker_version_is_not_used(other):
    frontier = parts.FrontierHarness()
    await frontier.answer(redact_request())
    frontier.redactor = other
    frontier.restart()
    assert not (await frontier.answer(redact_request(id="t-2"))).cached
    assert len(frontier.provider.questions) == 2


async def test_the_stricter_of_text_and_tenant_masks():
    frontier = parts.FrontierHarness()
    await frontier.answer(redact_request(frontier="allow", tenant="masked"))
    assert frontier.provider.questions[0].text == MASKED


async def test_the_terms_of_the_policy_are_masked():
    policy = PrivacyPolicy.model_validate({"terms": [{"type": "PROJECT", "words": ["Blue Heron"]}]})
    detectors = (*parts.DETECTORS, *fixed_detectors(policy))
    frontier = parts.FrontierHarness(redactor=Redactor(detectors, policy, "1"))
    answered = await frontier.answer(redact_request(text="about blue  heron, please"))
    assert frontier.provider.questions[0].text == "about [PROJECT_1], please"
    assert answered.egress.masked == {"PROJECT": 1}


async def test_if_a_detector_fails_nothing_leaves_and_the_error_has_no_text(caplog):
    frontier = parts.FrontierHarness(redactor=Redactor((*parts.DETECTORS, Broken()), PrivacyPolicy(), "1"))
    answered = await frontier.answer(redact_request())
    assert (answered.declined.code, answered.declined.detail) == ("masking", "the detector broken failed: RuntimeError")
    assert (answered.egress, answered.sent) == (Egress(left=False, masked={}), None)
    assert not frontier.provider.questions
    assert not frontier.audit.records
    assert "Zoë" not in answered.declined.model_dump_json() + caplog.text


@pytest.mark.parametrize("error", [KeyError, PanicException])
async def test_after_a_defect_in_masking_nothing_leaves_and_the_error_has_no_text(monkeypatch, caplog, error):
    def broken(text, *_, **__):
        raise error(text)

    monkeypatch.setattr("sprat_frontier.redaction.mask", broken)
    answered = await parts.FrontierHarness().answer(redact_request())
    assert (answered.declined.code, answered.declined.detail) == ("masking", f"masking failed: {error.__name__}")
    assert "Zoë" not in caplog.text


@pytest.mark.parametrize("error", [ZeroDivisionError, PanicException])
async def test_a_defect_beside_the_masking_of_one_text_ends_the_wait_of_all_its_turn(monkeypatch, error):
    def broken(texts, _):
        raise error

    redactor, sender = Redactor(parts.DETECTORS, PrivacyPolicy(), "1"), Sender("acme", "acme")
    monkeypatch.setattr("sprat_frontier.redaction.read_names", broken)
    async with asyncio.timeout(5):
        both = [redactor.mask(sender, text, "en") for text in ("one", "two", "three")]
        assert [type(each) for each in await asyncio.gather(*both, return_exceptions=True)] == [error] * 3
    monkeypatch.undo()
    async with asyncio.timeout(5):
        assert (await redactor.mask(sender, "four", "en")).text == "four"


async def test_a_text_on_which_masking_panics_stays_here_and_the_others_of_its_turn_are_masked():
    class Panicking(Broken):
        def find(self, text, language):
            return super().find(text, language) if "two" in text else []

    detectors = (*parts.DETECTORS, Panicking(error=PanicException))
    redactor, sender = Redactor(detectors, PrivacyPolicy(), "1"), Sender("acme", "acme")
    async with asyncio.timeout(5):
        one, two, three = await asyncio.gather(
            *(redactor.mask(sender, text, "en") for text in ("one", "two", "three")), return_exceptions=True
        )
    assert (one.text, three.text) == ("one", "three")
    assert two.reason == "the detector broken failed: PanicException"


async def test_while_no_text_can_be_masked_the_log_says_so_once_a_minute(caplog):
    frontier = parts.FrontierHarness(redactor=Redactor((*parts.DETECTORS, Broken()), PrivacyPolicy(), "1"))
    for number in range(3):
        await frontier.answer(redact_request(id=f"t-{number}"))
    (line,) = caplog.messages
    assert line.startswith("a text could not be masked and stays here: NotVerified: the detector broken failed: ")
    assert line.endswith("RuntimeError; 1 since the last such line")


async def test_a_language_without_detector_is_a_limit_and_no_fault_in_the_log(caplog):
    answered = await parts.FrontierHarness().answer(redact_request(language="fi"))
    assert answered.declined.code == "masking"
    assert caplog.messages == []


async def test_a_failing_provider_leaves_counts_and_no_value_in_the_records():
    away = ProviderError("http_400", "HTTP status 400")
    frontier = parts.FrontierHarness(parts.FakeProvider(lambda _: away))
    answered = await frontier.answer(redact_request())
    assert (answered.declined.code, answered.egress) == ("provider", left(frontier))
    assert [value for value in VALUES if value in stored_and_audited(frontier) + answered.declined.detail] == []


async def test_masking_blocks_neither_the_event_loop_nor_cases_without_masking():
    class Slow:
        name, languages = "slow", frozenset({"en"})

        def __init__(self) -> None:
            self.free = threading.Event()

        def find(self, text, language):
            self.free.wait(5)
            return []

    slow = Slow()
    frontier = parts.FrontierHarness(redactor=Redactor((slow,), PrivacyPolicy(), "1"))
    masking = asyncio.create_task(frontier.answer(redact_request()))
    assert (await frontier.answer(parts.request(id="t-2"))).output == IntentOutput(label="transfer")
    assert not masking.done()
    slow.free.set()
    assert (await masking).egress.left


def test_the_error_of_an_unusable_tagger_names_its_setting(tmp_path):
    with pytest.raises(UserError, match="SPRAT_FRONTIER__TAGGER"):
        Redactor.load(tmp_path, PrivacyPolicy())
