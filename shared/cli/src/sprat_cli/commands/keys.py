"""`sprat keys add|list|revoke`: the API keys of the gateway."""

from pathlib import Path
from typing import Annotated, Any

from sprat_cli.app import group_help, make_app
from sprat_cli.options import Json, argument, option
from sprat_cli.terminal import faint, printable, remark, say, say_json, table
from sprat_operations.api_keys import ROLES, ApiKey, add_key, check_source, chosen_file, read_keys, revoke_key
from sprat_operations.chosen_policy import refusal_of_door

_ADD = """\b
Examples:
  sprat keys add --tenant acme --source /web
  sprat keys add --tenant acme --source /desk --role send --role read-texts
  DOOR_KEY=$(sprat keys add --tenant acme --source /web --json | jq -r .key)

\b
Roles:
  send        submit texts and read their Results
  read-texts  see texts on the page; each look is one line in the gateway's log
  label       answer reviews and correct texts on the page, with read-texts

\b
The key is shown once: the file holds its SHA-256 alone. Two keys of a tenant and source with the same roles can be
valid: add the new one, use it, revoke the old one.

\b
Exit codes:
  0  added
  2  wrong usage, two such keys are valid already, or the file cannot be written"""
_LIST = """\b
Examples:
  sprat keys list
  sprat keys list --json | jq -r 'select(.tenant == "acme") | .id'

\b
Exit codes:
  0  shown
  2  wrong usage, or the file cannot be read"""
_REVOKE = """\b
Examples:
  sprat keys revoke 3f1c09a2b7de

\b
Exit codes:
  0  revoked: within 5 s the gateway refuses it and ends its streams
  2  wrong usage, no key has this id, or the file cannot be written"""

app = make_app(
    no_args_is_help=True,
    help="Add, list and revoke the API keys of the gateway, Sprat's HTTP door.",
    epilog=group_help("keys", "add --tenant acme --source /web", "list --json"),
)

File = Annotated[
    Path | None, option("FILE", "The file of keys. [SPRAT_GATEWAY__KEYS_FILE, else that of your `sprat up`]", "--file")
]


@app.command(epilog=_ADD, short_help="Add a key and print it, once.")
def add(
    tenant: Annotated[str, option("NAME", "Of every text sent with the key.")],
    source: Annotated[str, option("URI", "CloudEvents source of every text sent with the key, such as /web.")],
    role: Annotated[
        list[str] | None, option("NAME", f"What the key may: {', '.join(ROLES)}; repeatable. [default: send]")
    ] = None,
    *,
    file: File = None,
    as_json: Json = False,
) -> None:
    """Add a key for one tenant and one source, and print it. The gateway accepts it within 5 s."""
    path = chosen_file(file)
    check_source(path, tenant, source)
    key, entry = add_key(path, tenant, source, role or ["send"])
    if as_json:
        say_json(_as_json(entry) | {"key": key})
        return
    say(key)
    if refusal := refusal_of_door(tenant, source):
        remark(f"the gateway refuses its texts (403) until the policy is changed: {refusal}")
    remark(f"key {entry.id} of tenant {printable(tenant)}, source {printable(source)}: {_roles(entry)}; in {path}")
    remark("it is shown once: keep it where no log and no address has it")


@app.command("list", epilog=_LIST, short_help="Show the valid keys, without their values.")
def list_(*, file: File = None, as_json: Json = False) -> None:
    """Show the id, tenant, source and roles of each valid key. The keys themselves are not in the file."""
    path = chosen_file(file)
    keys = read_keys(path)
    if as_json:
        for each in keys:
            say_json(_as_json(each))
        return
    if not keys:
        remark(f"{path} has no keys: `sprat keys add` adds one")
        return
    cells = [("ID", "TENANT", "SOURCE", "ROLES", "CREATED")]
    cells += [
        (each.id, printable(each.tenant), each.source, _roles(each), f"{each.created:%Y-%m-%d %H:%M}") for each in keys
    ]
    head, *body = table(cells)
    for line in (faint(head), *body):
        say(line)


@app.command(epilog=_REVOKE, short_help="Revoke a key by its id.")
def revoke(
    id: Annotated[str, argument("ID", "Of the key, as `sprat keys list` shows it.")],
    *,
    file: File = None,
    as_json: Json = False,
) -> None:
    """Revoke a key. Within 5 s the gateway refuses it and ends its streams; texts already accepted are answered."""
    path = chosen_file(file)
    entry = revoke_key(path, id)
    if as_json:
        say_json(_as_json(entry))
        return
    say(f"revoked {entry.id} of tenant {printable(entry.tenant)}, source {entry.source}")


def _roles(key: ApiKey) -> str:
    return ", ".join(sorted(key.roles))


def _as_json(key: ApiKey) -> dict[str, Any]:
    return {"type": "key", **key.model_dump(mode="json", exclude={"sha256"})}
