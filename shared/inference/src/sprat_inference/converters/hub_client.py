"""The HTTP client by which `huggingface_hub` downloads, with rules that the library does not have.

A hub's answers name files of the cache (`ETag`, commit) and addresses at which a download goes on. The library makes
paths of the former as they are and follows the latter anywhere. So each request and each answer is checked first.
"""

import ipaddress
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final, Self

from pydantic import Field, field_validator

from sprat.base.errors import UserError
from sprat.base.settings import VariableSettings, load_settings

if TYPE_CHECKING:
    from httpx2 import URL, Request, Response

_PUBLIC: Final = ("huggingface.co", "hf.co")
"""Domains of the public hub. Its files come from hosts below them."""
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_ETAG: Final = re.compile(r"[0-9a-f]{40}|[0-9a-f]{64}")
_HOST: Final = re.compile(r"[A-Za-z0-9.-]+(?::[0-9]{1,5})?|\[[0-9a-f:]+\](?::[0-9]{1,5})?")
_LONGEST_SHOWN: Final = 80
MOST_REQUESTS: Final = 1_000
"""Of one download. Each file takes about three; a list of files whose next page is itself never ends."""


class HubSettings(VariableSettings):
    """Whence models are downloaded."""

    hub_hosts: Annotated[
        str, Field(description="Further hosts to which a hub may redirect a download: HOST or HOST:PORT, with commas.")
    ] = ""

    @field_validator("hub_hosts")
    @classmethod
    def _are_hosts(cls, value: str) -> str:
        for host in _split(value):
            if not _HOST.fullmatch(host):
                raise ValueError("no hosts with commas between them, as files.example,files.example:8443")
        return value


@dataclass(frozen=True, slots=True)
class HubRules:
    """What may be asked of whom, and what an answer may name."""

    endpoint: "URL"
    hosts: frozenset[str] = frozenset()
    """Further hosts, with their ports where they name one."""
    timeout_s: float = 10.0
    """For a connection, and for each wait for an answer, where the library sets none."""
    _requests: Iterator[int] = field(default_factory=lambda: count(1), init=False, repr=False, compare=False)

    @classmethod
    def load(cls) -> Self:
        """Return the rules for the hub of `HF_ENDPOINT`, with the hosts of the settings.

        Raises:
            UserError: the hub may not be asked, or a setting is wrong.
        """
        from httpx2 import URL  # noqa: PLC0415 - of huggingface_hub 2: an extra, which services do not install
        from huggingface_hub import constants  # noqa: PLC0415 - likewise

        rules = cls(
            URL(constants.ENDPOINT),
            frozenset(_split(load_settings(HubSettings).hub_hosts.lower())),
            constants.HF_HUB_DOWNLOAD_TIMEOUT,
        )
        _check_encrypted(rules.endpoint)
        return rules

    def install(self) -> None:
        """Make `huggingface_hub` use a client that follows the rules."""
        from httpx2 import Client  # noqa: PLC0415 - as above
        from huggingface_hub import constants, set_client_factory  # noqa: PLC0415 - as above

        # Its other client is not written in Python: no rule would hold there, and it sends the token along.
        constants.HF_HUB_DISABLE_XET = True
        hooks: dict[str, list[Callable[..., Any]]] = {
            "request": [self.check_request],
            "response": [self.check_response],
        }
        set_client_factory(lambda: Client(event_hooks=hooks, follow_redirects=True))

    def check_request(self, request: "Request") -> None:
        """Check where a request goes; take the token from it, unless it is for the hub itself. Give it a timeout.

        Raises:
            UserError: it may not go there, or it is one too many.
        """
        if next(self._requests) > MOST_REQUESTS:
            raise UserError(
                f"{_shown(self.endpoint)}: the download takes more than {MOST_REQUESTS:,} requests, so the hub's "
                "answers do not seem to end; take the model from another hub"
            )
        # Some calls of the library say that there is none, which takes precedence over the client's own.
        stated = request.extensions.get("timeout", {})
        request.extensions["timeout"] = {
            each: self.timeout_s if stated.get(each) is None else stated[each]
            for each in ("connect", "read", "write", "pool")
        }
        _check_encrypted(request.url)
        if _origin(request.url) == _origin(self.endpoint):
            return
        if not self._may_redirect_to(request.url):
            raise UserError(
                f"{_shown(self.endpoint)}: the download goes on at {_shown(request.url)}, which is not the hub's host; "
                f"if you trust it, set SPRAT_HUB_HOSTS={request.url.netloc.decode('ascii')}"
            )
        request.headers.pop("Authorization", None)

    def check_response(self, response: "Response") -> None:
        """Check what an answer names before it becomes a path.

        Raises:
            UserError: a commit or an ETag is none.
        """
        if (commit := response.headers.get("X-Repo-Commit")) is not None:
            self.check_commit(commit)
        if response.request.method == "HEAD" and not response.is_error:
            # As the library reads them. A redirect within the hub may have an ETag of its own, which is not used.
            name = "X-Linked-Etag" if response.headers.get("X-Linked-Etag") else "ETag"
            etag = response.headers.get(name)
            if etag is not None and not _ETAG.fullmatch(etag.removeprefix("W/").strip('"')):
                if name == "ETag" and response.has_redirect_location:
                    del response.headers[name]
                else:
                    raise UserError(self._wrong(name, etag, "40 or 64"))

    def check_commit(self, stated: object, revision: str | None = None) -> str:
        """Return the commit that the hub states for a revision. It becomes a path.

        Raises:
            UserError: it is none, or another than the commit that was asked for.
        """
        if not (isinstance(stated, str) and _COMMIT.fullmatch(stated)):
            raise UserError(self._wrong("commit", stated, "40"))
        if revision is not None and _COMMIT.fullmatch(revision) and stated != revision:
            raise UserError(
                f"{_shown(self.endpoint)}: the hub states the commit {stated} where {revision} was asked for; nothing "
                "is written for it. Take the model from another hub"
            )
        return stated

    def _wrong(self, name: str, value: object, digits: str) -> str:
        return (
            f"{_shown(self.endpoint)}: the hub states the {name} {str(value)[:_LONGEST_SHOWN]!r}, which is not "
            f"{digits} hexadecimal digits; nothing is written for it. Take the model from another hub"
        )

    def _may_redirect_to(self, url: "URL") -> bool:
        if {url.host, url.netloc.decode("ascii")} & self.hosts:
            return True
        return self.endpoint.host in _PUBLIC and any(
            url.host == domain or url.host.endswith(f".{domain}") for domain in _PUBLIC
        )


def check_downloaded(folder: Path, cache: Path) -> None:
    """Check that a folder of the cache is named for a commit, and that all its files are in the cache.

    Raises:
        UserError: one is not.
    """
    if not _COMMIT.fullmatch(folder.name):
        raise UserError(f"{folder}: is named for no commit; delete it, and download the model again")
    inside = cache.resolve()
    for path in (folder, *folder.rglob("*")):
        if not path.resolve().is_relative_to(inside):
            raise UserError(
                f"{path}: {path.name} lies outside the cache {cache}, so the hub did not send it; delete "
                f"{folder.parent}, and download the model again"
            )


def _split(hosts: str) -> list[str]:
    return [host.strip() for host in hosts.split(",") if host.strip()]


def _check_encrypted(url: "URL") -> None:
    if url.scheme != "https" and not (url.scheme == "http" and _is_loopback(url.host)):
        raise UserError(
            f"{_shown(url)} is not encrypted; give https:// (HF_ENDPOINT), or a folder that you downloaded instead of "
            "an id"
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _origin(url: "URL") -> tuple[str, str, int | None]:
    return url.scheme, url.host, url.port


def _shown(url: "URL") -> str:
    """Return an address without its path and query, which may be a secret."""
    return f"{url.scheme}://{url.netloc.decode('ascii')}"
