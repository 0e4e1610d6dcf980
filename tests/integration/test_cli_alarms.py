"""`sprat alarms` on a real broker: what stands, in words, and what clears it."""

import json

import pytest

from sprat.registry.alarms import AlarmBook, alarm_record
from sprat_contracts import AlarmRaised, ModelRef, ReviewCell, TextName
from sprat_contracts.reviews import CLEARED, ERRORS, SHIFT
from support.cli_records import environment, sprat
from support.stream import FORGED, SIGNATURES, made_topics, publish, read_all, settings_for

CELL = ReviewCell(tenant="acme", language="de")
NAME = "errors/intent/acme/de"
RAISED = AlarmRaised(
    kind=ERRORS,
    task="intent",
    cell=CELL,
    number=1,
    steps=1,
    model=ModelRef(name="hr", version="a" * 16),
    goal=0.97,
    evidence="estimated",
    e_value=81.25,
    needed=65.8,
    reviews=214,
    errors=17,
    since=1_796_000_000_000,
    raised_at=1_796_100_000_000,
    texts=(TextName(text_source="/crm", text_id="order 4711"),),
)


@pytest.fixture
async def topics(kafka, prefix):
    return await made_topics(settings_for(kafka.bootstrap, prefix))


@pytest.fixture
def run(kafka, prefix, tmp_path):
    async def run(*arguments, **more):
        return await sprat("alarms", *arguments, env=environment(kafka.bootstrap, prefix, **more), cwd=tmp_path)

    return run


async def raise_(kafka, topics, alarm, signatures=SIGNATURES):
    record = alarm_record(topics, alarm, "/test/guardian", signatures)
    await publish(kafka.bootstrap, record.topic, [record.value], record.headers, record.key)


async def test_an_alarm_is_listed_explained_and_cleared(kafka, topics, run):
    code, out, err = await run("list")
    assert (code, out, err.startswith("no alarm was ever raised")) == (0, "", True)
    shift = AlarmRaised(kind=SHIFT, task="ner", cell=ReviewCell(language="de"), number=1, raised_at=1_796_100_000_000)
    for alarm in (RAISED, shift):
        await raise_(kafka, topics, alarm)
    await raise_(kafka, topics, RAISED.model_copy(update={"number": 9, "state": CLEARED}), FORGED)

    code, out, err = await run("list", "--json")
    assert (code, [json.loads(line)["name"] for line in out.splitlines()]) == (1, [NAME, "shift/ner/*/de"])
    assert "it is ignored: its signature is not this installation's" in err
    code, out, _ = await run("list")
    assert [line.split()[0] for line in out.splitlines()] == ["ALARM", NAME, "shift/ner/*/de"]

    code, out, _ = await run("explain", NAME)
    assert code == 0
    assert "the task intent, tenant acme, language de, hr version" in out
    assert "17 of 214 answered reviews since" in out
    assert "are wrong, 7.9 %" in out
    assert "an e-value of 81.25; the alarm is raised at 65.8. If the goal were kept" in out
    assert "  sprat trace 'order 4711' --source /crm\n" in out
    assert "with new rows of this tenant and language, labelled by people: sprat evaluate FILE" in out
    assert "--from-reviews" not in out, "reviews do not clear the alarm of a cell"
    assert f"sprat alarms clear {NAME} --certificate MODEL" in out

    code, _, err = await run("clear", NAME)
    assert (code, "--certificate MODEL" in err) == (2, True)
    code, _, err = await run("clear", "errors/intent", "--because", "x")
    assert (code, f"there are: {NAME}, shift/ner/*/de" in err) == (2, True)
    code, out, err = await run("clear", NAME, "--because", "the label is back", "--by", "lee", "--json")
    assert code == 0, err
    after = json.loads(out)
    assert (after["state"], after["number"], after["clears"], after["steps"]) == ("cleared", 2, 1, 0)
    assert after["because"] == "the label is back"
    code, _, err = await run("clear", NAME, "--because", "again")
    assert (code, "it was cleared by lee" in err) == (2, True)
    assert (await run("list"))[0] == 1  # the warning of a shift still stands
    book = AlarmBook(SIGNATURES)
    for record in await read_all(kafka.bootstrap, topics.alarms):
        book.take(record)
    assert [each.kind for each in book.standing()] == [SHIFT]


async def test_only_who_knows_the_secret_clears(kafka, topics, run):
    await raise_(kafka, topics, RAISED)
    code, _, err = await run("clear", NAME, "--because", "x", SPRAT_SECRET="")
    assert (code, "SPRAT_SECRET is not set" in err) == (2, True)
