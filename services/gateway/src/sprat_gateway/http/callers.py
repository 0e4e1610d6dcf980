"""Who asks: an API key stands for one tenant and one source."""

from dataclasses import dataclass

from starlette.requests import Request

from sprat_gateway.http.problems import Problem


@dataclass(frozen=True, slots=True)
class Caller:
    """Who a request comes from."""

    key_id: str
    """Names the key in logs; it is not secret."""
    tenant: str
    source: str
    """The `ce_source` of what it sends."""
    roles: frozenset[str]
    """Of `send`, `read-texts`, `label`."""

    def may_see(self, tenant: str, source: str) -> bool:
        """Return whether a text of this tenant and source is its own."""
        return (tenant, source) == (self.tenant, self.source)


def caller_of(request: Request) -> Caller:
    """Return who a request comes from.

    Raises:
        Problem: 401, it has no key, or one that is not valid.
    """
    scheme, _, key = request.headers.get("authorization", "").partition(" ")
    found = request.app.state.keys(key.strip()) if scheme.lower() == "bearer" else None
    if found is None:
        detail = "Authorization: Bearer KEY is missing, or the key is not valid; `sprat keys add` makes one"
        raise Problem(401, "no_key", detail, headers={"WWW-Authenticate": "Bearer"})
    caller: Caller = found
    return caller
