"""What `sprat erase` deletes in the store of a gateway, while the gateway uses it."""

import sqlite3
import sys
from base64 import b64encode
from dataclasses import replace
from pathlib import Path

import pytest

from sprat.base.errors import UserError
from sprat_contracts import TextSubmitted
from sprat_gateway.erasure import erase, main
from sprat_gateway.page import schema
from sprat_gateway.page.schema import FILE
from support.page_store import filled_store
from support.traced_records import SAID, TracedText

WHOSE = {"order-7": ("anna", "acme"), "order-8": ("ben", "acme"), "order-9": ("anna", "nordic")}
TABLES = ("texts", "records", "results", "calls", "letters")


class PersonsText(TracedText):
    """A text of a person: with a key, words and a tenant of its own."""

    def __init__(self, id, key, tenant):
        super().__init__(id, tenant=tenant)
        self.key, self.said = key, f"the words of {id}"

    @property
    def origin(self):
        return super().origin.model_copy(update={"key": b64encode(self.key.encode()).decode()})

    @property
    def submitted(self):
        return TextSubmitted(text=self.said, tasks=self.options, tenant=self.tenant)

    def records(self):
        calls = [self.call(phase, 0, f"call of {self.id}", tenant=self.tenant) for phase in ("attempt", "outcome")]
        made = [self.text(), self.prediction(), self.request(), *calls, self.answer()]
        made += [self.result(tenant=self.tenant), self.letter(self.text(), value=self.text().value)]
        return [replace(record, key=self.key.encode()) for record in made]


@pytest.fixture
async def store(tmp_path):
    """A store in use, with all that three texts cause."""
    texts = [PersonsText(id, *whose) for id, whose in WHOSE.items()]
    async with filled_store(tmp_path, *(record for text in texts for record in text.records())) as filled:
        yield filled


def stored(folder: Path) -> set[str]:
    with sqlite3.connect(folder / FILE) as connection:
        return {id for (id,) in connection.execute("SELECT text_id FROM texts")}


def counts(folder: Path, tenant: str) -> list[int]:
    """Return how many rows of a tenant stand in each table that names tenants."""
    with sqlite3.connect(folder / FILE) as connection:
        named = ("texts", "results", "calls", "letters", "sums", "latencies")
        return [
            connection.execute(f"SELECT count(*) FROM {name} WHERE tenant = ?", (tenant,)).fetchone()[0]
            for name in named
        ]


def written(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir())


def given(key=None, text_id=None, tenant=None):
    return {"key": key, "text_id": text_id, "tenant": tenant}


async def test_what_still_stands_in_the_log_is_not_said_to_be_deleted(tmp_path, monkeypatch):
    monkeypatch.setattr(schema, "_BUSY_S", 0.1)
    async with filled_store(tmp_path, *TracedText().whole()):
        reader = schema.open_reader(tmp_path)
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM texts").fetchone()
        with pytest.raises(UserError, match="run this again"):
            erase(tmp_path, key=None, text_id="order-7", tenant=None)
        reader.execute("ROLLBACK")
        assert erase(tmp_path, key=None, text_id="order-7", tenant=None) == 0
    assert not any(SAID.encode() in file.read_bytes() for file in tmp_path.iterdir())


@pytest.mark.parametrize(
    ("selection", "identities", "gone"),
    [
        (given(key="anna"), [], {"order-7", "order-9"}),
        (given(text_id="order-8"), [], {"order-8"}),
        (given(key="anna", tenant="acme"), [], {"order-7"}),
        (given(key="anna", text_id="order-8"), [], set()),
        (given(key="nobody"), [("/crm", "order-8")], {"order-8"}),
        (given(key="nobody", tenant="nordic"), [("/crm", "order-8")], set()),
        (given(tenant="acme"), [], {"order-7", "order-8"}),
    ],
    ids=["key", "id", "key and tenant", "neither's", "found in Kafka", "found, of another tenant", "tenant"],
)
async def test_all_that_is_given_holds_of_what_is_deleted_and_nothing_of_it_stays(
    store, tmp_path, selection, identities, gone
):
    assert erase(tmp_path, **selection, identities=identities, dry_run=True) == len(gone)
    assert stored(tmp_path) == WHOSE.keys()
    assert all(f"the words of {id}".encode() in written(tmp_path) for id in WHOSE)
    assert erase(tmp_path, **selection, identities=identities) == len(gone)
    assert stored(tmp_path) == WHOSE.keys() - gone
    for id in WHOSE:
        assert (f"the words of {id}".encode() not in written(tmp_path)) is (id in gone), id
        assert (f"call of {id}".encode() not in written(tmp_path)) is (id in gone), id
    assert await store.show(lambda connection: connection.execute("SELECT count(*) FROM texts").fetchone()[0]) == (
        len(WHOSE) - len(gone)
    ), "the gateway sees it at once"


async def test_of_a_tenant_no_row_stays_and_none_of_another_goes(store, tmp_path):
    assert all(counts(tmp_path, "acme"))
    others = counts(tmp_path, "nordic")
    erase(tmp_path, **given(tenant="acme"))
    assert (counts(tmp_path, "acme"), counts(tmp_path, "nordic")) == ([0] * 6, others)


async def test_a_text_that_comes_again_after_it_was_erased_is_stored_anew(store, tmp_path):
    erase(tmp_path, **given(text_id="order-8"))
    await store.put(*PersonsText("order-8", "ben", "acme").records())
    assert stored(tmp_path) == WHOSE.keys()
    assert erase(tmp_path, **given(text_id="order-8")) == 1


def test_a_folder_without_a_store_stays_without(tmp_path):
    assert erase(tmp_path, **given(tenant="acme")) is None
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"no database", None], ids=["damaged", "of another version"])
def test_a_store_that_cannot_be_changed_is_named_and_left(tmp_path, content):
    file = tmp_path / FILE
    if content is None:
        with sqlite3.connect(file) as connection:
            connection.execute("PRAGMA user_version = 99")
    else:
        file.write_bytes(content * 100)
    with pytest.raises(UserError, match="stop its gateway and delete"):
        erase(tmp_path, **given(tenant="acme"))
    assert file.exists()


async def test_the_program_beside_a_gateway_deletes_and_says_how_many(store, tmp_path, monkeypatch, capsys):
    def run(*arguments, folder=tmp_path):
        monkeypatch.setenv("SPRAT_GATEWAY__DATA", str(folder))
        monkeypatch.setattr(sys, "argv", ["erasure", *arguments])
        return main(), capsys.readouterr().out

    assert run("--tenant", "acme", "--dry-run") == (0, f"{tmp_path}: 2 texts would be deleted\n")
    assert run("--key", "anna", "--tenant", "acme") == (0, f"{tmp_path}: 1 text deleted\n")
    assert stored(tmp_path) == {"order-8", "order-9"}
    assert run("--tenant", "acme", folder=tmp_path / "none")[1].endswith("none: there is no store\n")
    with pytest.raises(SystemExit):
        run()
    assert "name whose data" in capsys.readouterr().err
