"""One tenant sends more than the frontier can take, or what it fails on: the others do not notice."""

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Sequence

import pytest

from sprat_contracts import FrontierAnswered, IntentOutput, Output
from sprat_frontier.breaker import ProviderBreaker
from sprat_frontier.errors import ProviderError
from sprat_frontier.fair_queue import FairQueue, FairSlots, Sender
from sprat_frontier.protocols import PreparedRequest, ProviderAnswer
from sprat_frontier.redaction import BATCH_CODE_POINTS, Redactor
from sprat_policy import Policy, PrivacyPolicy
from sprat_privacy import Detection, NameDetector
from sprat_privacy.masking import MAX_FOLDED
from support import frontier_parts as parts
from support.metrics import Metrics

OUTPUT = IntentOutput(label="transfer")
FLOODER, OTHER = "acme", "nordic"
OPEN = Policy.model_validate(
    {
        "tenants": {
            name: {"frontier": "allow", "regions": ["eu"], "max_escalations_per_min": quota}
            for name, quota in ((FLOODER, None), (OTHER, None), ("*", 300))
        }
    }
)
"""A policy in which a tenant without a section of its own may use the frontier, too."""


def named(section: str) -> Sender:
    return Sender(section, section)


def invented(number: int) -> Sender:
    return Sender("*", f"free-{number}")


class Names:
    """A tagger that finds `Zoë`; it waits before each batch until it may go on, and keeps what it has read."""

    def __init__(self) -> None:
        self.free = threading.Event()
        self.began = threading.Event()
        self.batches: list[list[str]] = []
        self.poison: str | None = None

    def find_many(self, texts: Sequence[str]) -> list[list[Detection]]:
        self.batches.append([*texts])
        self.began.set()
        assert self.free.wait(20)
        if self.poison is not None and self.poison in texts:
            raise ValueError(self.poison)
        return [[Detection(text.index("Zoë"), text.index("Zoë") + 3, "PERSON", "tagger")] for text in texts]


@pytest.fixture
def names() -> Names:
    return Names()


def masking(names: Names, threads: int = 1) -> Redactor:
    return Redactor((NameDetector(names, frozenset({"en"})),), PrivacyPolicy(), "1", threads)


class Answering(parts.FakeProvider):
    """Answers by the question's tenant and text."""

    def __init__(self, answer: Callable[[str, str], Output | ProviderError]) -> None:
        super().__init__()
        self.answer = answer

    async def ask(self, prepared: PreparedRequest) -> ProviderAnswer:
        question = prepared.question
        self.script = lambda _: self.answer(question.tenant, question.text)
        return await super().ask(prepared)


def test_tenants_take_turns_by_what_they_have_had() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(4):
        queue.push(named("a"), f"a{number}")
    queue.push(named("b"), "b0")
    assert [queue.pop(), queue.pop(), queue.pop()] == ["a0", "b0", "a1"]
    queue.push(named("c"), "c0", cost=2)
    queue.push(named("c"), "c1")
    queue.discard(named("a"), "a2")
    queue.discard(named("a"), "unknown")
    assert [queue.pop() for _ in range(3)] == ["c0", "a3", "c1"]
    assert not queue


def test_who_was_away_has_no_credit_and_what_was_had_is_not_forgotten_at_once() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(6):
        queue.push(named("a"), f"a{number}")
    first = [queue.pop() for _ in range(3)]
    queue.push(named("b"), "b0", cost=2)
    queue.push(named("b"), "b1")
    assert first == ["a0", "a1", "a2"]
    assert [queue.pop() for _ in range(5)] == ["b0", "a3", "a4", "b1", "a5"]


def test_a_sections_tenants_take_turns_among_themselves_and_have_one_share_together() -> None:
    queue: FairQueue[str] = FairQueue()
    for number in range(4):
        queue.push(invented(0), f"first {number}")
    for number in (1, 2):
        queue.push(invented(number), f"other {number}")
    queue.push(named("a"), "a0")
    queue.push(named("a"), "a1")
    assert [queue.pop() for _ in range(8)] == [
        *("first 0", "a0", "other 1", "a1", "other 2"),
        *("first 1", "first 2", "first 3"),
    ]


def test_a_queue_keeps_no_name_that_has_nothing_waiting() -> None:
    class Name(str):
        """A string that can be referenced weakly."""

        __slots__ = ("__weakref__",)

    queue: FairQueue[int] = FairQueue()
    queue.push(named("a"), -1)
    queue.push(named("a"), -2)
    names = weakref.WeakSet[Name]()
    for number in range(50):
        name = Name(f"free-{number}")
        names.add(name)
        queue.push(Sender("*", name), number)
        queue.push(Sender("*", name), -number)
        queue.discard(Sender("*", name), -number)
    while queue:
        queue.pop()
    del name
    gc.collect()
    assert len(names) == 0


async def test_a_slot_that_is_given_to_a_waiter_that_gives_up_is_not_lost() -> None:
    slots = FairSlots(1)
    await slots.acquire(named("a"))
    waiting = asyncio.create_task(slots.acquire(named("a")))
    await asyncio.sleep(0)
    slots.release()
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(1):
        await slots.acquire(named("b"))


async def test_a_flood_is_declined_at_once_and_the_others_case_is_next(metrics: Metrics) -> None:
    """2,000 cases of one tenant: none of them waits longer than the oldest 20, and the other's is called next."""
    frontier = parts.FrontierHarness(parts.FakeProvider(), parts.settings(concurrency=4, max_waiting=20))
    frontier.provider.gate.clear()
    flood = [asyncio.create_task(frontier.answer(parts.request(f"flood {n}", id=f"f-{n}"))) for n in range(2_000)]
    await frontier.provider.wait_for_calls(4)
    async with asyncio.timeout(30):
        declined = await asyncio.gather(*flood[20:])
    assert {(each.declined.code, each.egress.left) for each in declined if each.declined} == {("overload", False)}
    assert all(each.declined for each in declined)
    other = asyncio.create_task(frontier.answer(parts.request("other", tenant=OTHER, id="o-1")))
    await asyncio.sleep(0)
    frontier.provider.gate.set()
    assert (await other).output == OUTPUT
    asked = [question.text for question in frontier.provider.questions]
    assert asked.index("other") in {4, 5}, "no case of the flood but one is called before it"
    assert all(each.output == OUTPUT for each in await asyncio.gather(*flood[:20]))
    assert metrics.value("sprat.escalations", tenant=OTHER, result="declined") in {None, 0}


async def test_invented_names_push_out_no_case_of_a_named_tenant(metrics: Metrics) -> None:
    """300 names, one case each: together they are one share, and a named tenant's 20 cases are every second call."""
    settings = parts.settings(concurrency=4, max_waiting=100)
    frontier = parts.FrontierHarness(parts.FakeProvider(), settings, policies=OPEN)
    frontier.provider.gate.clear()
    free = [
        asyncio.create_task(frontier.answer(parts.request(f"free {n}", tenant=f"free-{n}", id=f"f-{n}")))
        for n in range(300)
    ]
    await frontier.provider.wait_for_calls(4)
    own = [
        asyncio.create_task(frontier.answer(parts.request(f"own {n}", tenant=FLOODER, id=f"o-{n}"))) for n in range(20)
    ]
    async with asyncio.timeout(30):
        await asyncio.wait(free[104:])
    frontier.provider.gate.set()
    assert [each.output for each in await asyncio.gather(*own)] == [OUTPUT] * 20
    asked = [question.text.split()[0] for question in frontier.provider.questions]
    assert asked.index("own") in {4, 5}
    assert asked[4:44].count("own") >= 19, "every second call"
    declined = [each.declined for each in await asyncio.gather(*free) if each.declined]
    assert {(each.code, each.detail) for each in declined} == {
        ("overload", "too many cases wait, and no section of the policy has more of them than this tenant's")
    }
    assert metrics.value("sprat.escalations", tenant="free-0", result="answered") == 1, "metrics show names"


async def test_one_invented_name_pushes_out_no_other() -> None:
    frontier = parts.FrontierHarness(parts.FakeProvider(), parts.settings(concurrency=1, max_waiting=8), policies=OPEN)
    frontier.provider.gate.clear()

    def send(numbers: range) -> list[asyncio.Task[FrontierAnswered]]:
        return [
            asyncio.create_task(frontier.answer(parts.request(f"flood {n}", tenant="free-0", id=f"f-{n}")))
            for n in numbers
        ]

    flood = send(range(50))
    await frontier.provider.wait_for_calls(1)
    other = asyncio.create_task(frontier.answer(parts.request("other", tenant="free-1", id="o-1")))
    await asyncio.sleep(0.05)
    flood += send(range(50, 60))
    await asyncio.wait(flood[50:], timeout=5)
    frontier.provider.gate.set()
    assert (await other).output == OUTPUT
    await asyncio.gather(*flood)
    assert [question.text for question in frontier.provider.questions].index("other") in {1, 2}


async def test_of_equally_many_the_newcomer_gives_way(names: Names) -> None:
    frontier = parts.FrontierHarness(parts.FakeProvider(), parts.settings(concurrency=1, max_waiting=2))
    frontier.provider.gate.clear()
    tenants = (FLOODER, OTHER, "masked")
    calls = [asyncio.create_task(frontier.answer(parts.request(f"{n}", id=f"t-{n}"))) for n in range(1)]
    await frontier.provider.wait_for_calls(1)
    calls += [
        asyncio.create_task(frontier.answer(parts.request(tenant, tenant=tenant, id=tenant))) for tenant in tenants
    ]
    done, _ = await asyncio.wait(calls, timeout=5, return_when=asyncio.FIRST_COMPLETED)
    frontier.provider.gate.set()
    (declined,) = [each.result() for each in done]
    assert declined.request.prediction.submitted.tenant == "masked"
    assert [each.output for each in await asyncio.gather(*calls[:3])] == [OUTPUT] * 3


async def test_long_texts_count_as_several_cases_and_one_always_fits() -> None:
    frontier = parts.FrontierHarness(parts.FakeProvider(), parts.settings(concurrency=1, max_waiting=4))
    frontier.provider.gate.clear()
    called = asyncio.create_task(frontier.answer(parts.request("short", id="short")))
    await frontier.provider.wait_for_calls(1)
    first = asyncio.create_task(frontier.answer(parts.request("x" * 19_999, id="long")))
    await asyncio.sleep(0)
    others = [asyncio.create_task(frontier.answer(parts.request("y" * 2_500, id=f"o-{n}"))) for n in range(3)]
    done, _ = await asyncio.wait(others, timeout=5, return_when=asyncio.ALL_COMPLETED)
    codes = [each.result().declined and each.result().declined.code for each in done]
    assert codes == ["overload"] * 3, "the long text fills the bound by itself"
    frontier.provider.gate.set()
    assert [each.output for each in await asyncio.gather(called, first)] == [OUTPUT] * 2


async def test_a_declined_flood_is_not_called_later(names: Names) -> None:
    frontier = parts.FrontierHarness(parts.FakeProvider(), parts.settings(concurrency=1, max_waiting=3))
    frontier.provider.gate.clear()
    flood = [asyncio.create_task(frontier.answer(parts.request(f"flood {n}", id=f"f-{n}"))) for n in range(50)]
    await asyncio.gather(*flood[3:])
    frontier.provider.gate.set()
    await asyncio.gather(*flood)
    assert len(frontier.provider.questions) == 3


async def test_masking_reads_many_texts_at_once_and_the_tenants_in_turn(names: Names) -> None:
    frontier = parts.FrontierHarness(redactor=masking(names))
    flood = [
        asyncio.create_task(frontier.answer(parts.request(f"Zoë {n} " + "x" * 900, frontier="redact", id=f"f-{n}")))
        for n in range(40)
    ]
    await asyncio.to_thread(names.began.wait, 10)
    other = asyncio.create_task(frontier.answer(parts.request("Zoë calls", frontier="redact", tenant=OTHER, id="o-1")))
    await asyncio.sleep(0.05)
    names.free.set()
    assert (await other).egress.masked == {"PERSON": 1}
    await asyncio.gather(*flood)
    assert any("Zoë calls" in batch for batch in names.batches[:2]), "the turn after the one under way"
    assert max(map(len, names.batches)) > 1
    assert all(sum(map(len, batch[:-1])) < BATCH_CODE_POINTS for batch in names.batches)


async def test_invented_names_have_one_turn_of_masking_together(names: Names) -> None:
    rules = {name: {"frontier": "redact", "regions": ["eu"]} for name in (OTHER, "*")}
    frontier = parts.FrontierHarness(redactor=masking(names), policies=Policy.model_validate({"tenants": rules}))
    free = [
        asyncio.create_task(
            frontier.answer(
                parts.request(f"Zoë {n} " + "x" * 1_900, frontier="redact", tenant=f"free-{n}", id=f"f-{n}")
            )
        )
        for n in range(40)
    ]
    await asyncio.to_thread(names.began.wait, 10)
    own = [
        asyncio.create_task(
            frontier.answer(parts.request(f"Zoë own {n} " + "x" * 1_900, frontier="redact", tenant=OTHER, id=f"o-{n}"))
        )
        for n in range(5)
    ]
    await asyncio.sleep(0.05)
    names.free.set()
    await asyncio.gather(*own, *free)
    read = [text for batch in names.batches for text in batch]
    assert max(read.index(text) for text in read if " own " in text) < 20, "every second text"


async def test_a_deadline_holds_while_a_case_waits_for_masking(names: Names) -> None:
    clock = parts.FakeClock()
    frontier = parts.FrontierHarness(redactor=masking(names), clock=clock)
    held = asyncio.create_task(frontier.answer(parts.request("Zoë one", frontier="redact", id="f-1")))
    await asyncio.to_thread(names.began.wait, 10)
    async with asyncio.timeout(5):
        late = await frontier.answer(
            parts.request("Zoë two", frontier="redact", deadline_ms=100, id="t-2", tenant=OTHER)
        )
    assert late.declined is not None
    assert (late.declined.code, late.declined.detail) == ("deadline", "the text was not masked in time")
    names.free.set()
    assert (await held).output == OUTPUT
    assert names.batches == [["Zoë one"]], "nobody waits for it any longer"


async def test_what_one_text_does_to_a_detector_concerns_that_text_alone(names: Names) -> None:
    names.poison = "Zoë poison"
    frontier = parts.FrontierHarness(redactor=masking(names))
    texts = ("Zoë first", "Zoë poison", "Zoë well")
    tasks = [asyncio.create_task(frontier.answer(parts.request(text, frontier="redact", id=text))) for text in texts]
    await asyncio.to_thread(names.began.wait, 10)
    await asyncio.sleep(0.05)
    names.free.set()
    answers = await asyncio.gather(*tasks)
    assert [each.declined and each.declined.code for each in answers] == [None, "masking", None]
    assert ["Zoë poison", "Zoë well"] in names.batches


@pytest.mark.parametrize(
    "text",
    ["\ufdfa" * 1300, "x" * (MAX_FOLDED + 1), "㎏" * 12_000, "&#xfdfa;" * 1300],
    ids=["U+FDFA", "plain", "kg", "reference"],
)
async def test_a_text_that_folds_to_too_much_is_declined_and_read_by_nothing(
    text: str, names: Names, caplog: pytest.LogCaptureFixture
) -> None:
    names.free.set()
    redactor = masking(names)
    with pytest.raises(Exception, match="longer than 21,000 characters") as refused:
        await redactor.mask(named(FLOODER), text, "en")
    assert type(refused.value).__name__ == "TextTooLong"
    assert names.batches == []
    if len(text) <= 20_000:
        answered = await parts.FrontierHarness(redactor=redactor).answer(parts.request(text, frontier="redact"))
        assert answered.declined is not None
        assert answered.declined.code == "masking"
        assert caplog.messages == [], "a limit, no fault"


async def test_the_longest_ordinary_text_is_masked(names: Names) -> None:
    names.free.set()
    text = "Zoë " + "é" * 19_996
    assert (await masking(names).mask(named(FLOODER), text, "en")).text.startswith("[PERSON_1] ")


POISON = [
    ProviderError("server_error", "HTTP status 500", retryable=True),
    ProviderError("timeout", "no answer within 30 s", retryable=True),
    ProviderError("http_400", "HTTP status 400"),
    ProviderError("refused", "the model refused to answer"),
    ProviderError("garbled", "the response is not a chat completion", retryable=True),
]


@pytest.mark.parametrize("error", POISON, ids=[each.code for each in POISON])
async def test_a_tenants_poison_questions_hold_back_nobody_else(error: ProviderError) -> None:
    provider = Answering(lambda tenant, _: error if tenant == FLOODER else OUTPUT)
    breaker = {"failures": 3, "cooldown_s": 60, "max_cooldown_s": 60}
    frontier = parts.FrontierHarness(provider, parts.settings(concurrency=2, max_retries=1, breaker=breaker))
    poison = [asyncio.create_task(frontier.answer(parts.request(f"poison {n}", id=f"p-{n}"))) for n in range(30)]
    async with asyncio.timeout(5):
        for number in range(30):
            other = await frontier.answer(parts.request(f"{number}", tenant=OTHER, id=f"o-{number}"))
            assert other.output == OUTPUT
    assert frontier.breaker.state == "closed"
    calls = sum(question.tenant == FLOODER for question in provider.questions)
    assert calls == 30 if not error.retryable else 3 <= calls <= 5, "its own calls wait where the provider fails"
    for task in poison:
        task.cancel()
    await asyncio.gather(*poison, return_exceptions=True)


async def test_poison_of_invented_names_opens_no_circuit_of_named_tenants() -> None:
    """Two names open two circuits where each has one, and so that of all."""
    bad = ProviderError("server_error", "HTTP status 500", retryable=True)
    provider = Answering(lambda tenant, _: bad if tenant.startswith("free") else OUTPUT)
    breaker = {"failures": 3, "cooldown_s": 60, "max_cooldown_s": 60}
    settings = parts.settings(concurrency=2, max_retries=1, breaker=breaker)
    frontier = parts.FrontierHarness(provider, settings, policies=OPEN)
    poison = [
        asyncio.create_task(frontier.answer(parts.request(f"poison {n}", tenant=f"free-{n}", id=f"p-{n}")))
        for n in range(300)
    ]
    async with asyncio.timeout(5):
        for number in range(30):
            own = await frontier.answer(parts.request(f"{number}", tenant=OTHER, id=f"o-{number}"))
            assert own.output == OUTPUT
    assert frontier.breaker.state == "closed"
    assert 3 <= sum(question.tenant != OTHER for question in provider.questions) <= 5, "one circuit for all of them"
    for task in poison:
        task.cancel()
    await asyncio.gather(*poison, return_exceptions=True)


async def test_one_question_on_which_the_provider_fails_holds_back_not_even_its_tenant() -> None:
    bad = ProviderError("server_error", "HTTP status 500", retryable=True)
    provider = Answering(lambda _, text: bad if text == "poison" else OUTPUT)
    frontier = parts.FrontierHarness(provider, parts.settings(max_retries=9, breaker={"failures": 3, "cooldown_s": 60}))
    answered = await frontier.answer(parts.request("poison"))
    assert answered.declined is not None
    assert answered.declined.code == "provider"
    assert (await frontier.answer(parts.request("well", id="t-2"))).output == OUTPUT


async def test_an_outage_that_two_tenants_meet_holds_back_all_and_one_probe_ends_it() -> None:
    bad = ProviderError("server_error", "HTTP status 503", retryable=True)
    breaker = ProviderBreaker(parts.settings(breaker={"failures": 2, "cooldown_s": 0.05}).breaker, "simulated")
    for tenant in (FLOODER, OTHER):
        assert breaker.state == ("closed" if tenant == FLOODER else "open")
        for question in ("one", "two"):
            permit = breaker.admit(tenant, question)
            assert permit is not None
            breaker.record_error(permit, bad)
            breaker.release(permit)
    assert breaker.admit("a third", "q") is None
    await asyncio.sleep(0.06)
    probe = breaker.admit("a third", "q")
    assert probe is not None
    assert breaker.admit("a fourth", "q") is None
    breaker.record_success(probe)
    breaker.release(probe)
    assert breaker.state == "closed"
    assert all(breaker.admit(tenant, "q") for tenant in (FLOODER, OTHER, "a fourth"))


class SharedCounter:
    """What the other replicas see of one replica's counts, and it of theirs."""

    def __init__(self, *others: "SharedCounter") -> None:
        self.counts: dict[str, int] = {}
        self.others = [*others]

    async def share_count(self, key: str, count: int, ttl_s: int) -> int:
        self.counts[key] = count
        await asyncio.sleep(0)
        return sum(other.counts.get(key, 0) for other in self.others)


QUOTA = Policy.model_validate(
    {
        "tenants": {
            FLOODER: {"frontier": "allow", "regions": ["eu"], "max_escalations_per_min": 3},
            OTHER: {"frontier": "allow", "regions": ["eu"]},
        }
    }
)


async def codes(frontier: parts.FrontierHarness, *texts: str, tenant: str = FLOODER) -> list[str | None]:
    age_ms = parts.NOW_MS - frontier.clock.ms
    answers = [await frontier.answer(parts.request(text, id=text, tenant=tenant, age_ms=age_ms)) for text in texts]
    return [None if each.declined is None else each.declined.code for each in answers]


async def test_a_quota_counts_what_would_call_in_each_minute_over_all_replicas() -> None:
    counter, clock = SharedCounter(), parts.FakeClock()
    others = SharedCounter(counter)
    counter.others.append(others)
    one = parts.FrontierHarness(policies=QUOTA, counter=counter, clock=clock)
    two = parts.FrontierHarness(policies=QUOTA, counter=others, clock=clock)
    assert await codes(one, "1", "1", "1", "2") == [None] * 4, "stored answers do not count"
    assert await codes(two, "3", "4", "5") == [None, "quota", "quota"]
    assert await codes(one, "6", "1") == ["quota", None]
    assert await codes(one, "1", "2", "3", "4", tenant=OTHER) == [None] * 4
    clock.ms += 60_000
    assert await codes(two, "4", "5") == [None, None]
    assert not any(FLOODER in key for key in counter.counts)


async def test_tenants_without_a_section_share_one_quota_over_all_replicas() -> None:
    changed = {name: policy.model_copy(update={"max_escalations_per_min": 5}) for name, policy in OPEN.tenants.items()}
    policies = OPEN.model_copy(update={"tenants": changed})
    counter = SharedCounter()
    others = SharedCounter(counter)
    counter.others.append(others)
    one = parts.FrontierHarness(policies=policies, counter=counter)
    two = parts.FrontierHarness(policies=policies, counter=others)
    answered = [await codes(one, f"{n}", tenant=f"free-{n}") for n in range(300)]
    assert answered == [[None]] * 5 + [["quota"]] * 295
    assert await codes(two, "another", tenant="free-another") == ["quota"]
    assert await codes(one, *"abcdef", tenant=FLOODER) == [None] * 5 + ["quota"]
    assert await codes(one, *"abcde", tenant=OTHER) == [None] * 5
    refused = await one.answer(parts.request("more", tenant="free-0"))
    assert refused.declined is not None
    assert refused.declined.detail == "the 5 escalations a minute of this tenant's section of the policy are used up"


async def test_cases_at_the_same_time_use_up_a_quota_and_no_more() -> None:
    counter = SharedCounter()
    frontier = parts.FrontierHarness(policies=QUOTA, counter=counter)
    at_once = [codes(frontier, text) for text in ("1", "2", "3", "4", "5", "6")]
    assert sorted(code or "" for (code,) in await asyncio.gather(*at_once)) == ["", "", "", "quota", "quota", "quota"]


async def test_a_quota_of_zero_lets_nothing_be_called() -> None:
    changed = QUOTA.model_copy(
        update={"tenants": {FLOODER: QUOTA.tenants[FLOODER].model_copy(update={"max_escalations_per_min": 0})}}
    )
    frontier = parts.FrontierHarness(policies=changed)
    answered = await frontier.answer(parts.request("1"))
    assert answered.declined is not None
    assert (answered.declined.code, answered.egress and answered.egress.left) == ("quota", False)
    assert frontier.audit.records == []
