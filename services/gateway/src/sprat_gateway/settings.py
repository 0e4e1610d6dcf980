"""The settings of the door. It has no `SPRAT_SECRET`: it neither signs nor reads what services alone may."""

from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Final, Literal

from pydantic import Field, SecretStr, field_validator

from sprat.base.settings import Section
from sprat_gateway.http.gate import host_of
from sprat_policy import TaskFilesSettings

PORT: Final = 8088


class GatewaySection(Section):
    """Variables that begin with `SPRAT_GATEWAY__`."""

    host: Annotated[str, Field(description="Address on which it listens.")] = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535, description="0: any free one.")] = PORT
    keys_file: Annotated[
        Path | None,
        Field(description="API keys, as `sprat keys` writes them. Without it, nobody is let in."),
    ] = None
    data: Annotated[
        Path | None, Field(description="Folder of the store of Results; where it is not set, there is none.")
    ] = None
    page: Annotated[Literal["on", "off"], Field(description="Whether it serves the page.")] = "off"
    hosts: Annotated[
        tuple[str, ...], Field(description="Host names by which it is asked, as JSON; others are refused.")
    ] = ("localhost", "127.0.0.1", "[::1]")
    proxies: Annotated[
        tuple[str, ...], Field(description="Addresses whose X-Forwarded-For and X-Forwarded-Proto count, as JSON.")
    ] = ()
    tls_cert: Annotated[Path | None, Field(description="Certificate in PEM; with `tls_key` it serves HTTPS.")] = None
    tls_key: Annotated[Path | None, Field(description="Private key in PEM.")] = None
    seal_key: Annotated[
        SecretStr | None,
        Field(min_length=32, description="Seals Results that stand in Redis; without it, Redis is not used."),
    ] = None
    connections: Annotated[int, Field(ge=1, le=100_000, description="At a time, in all.")] = 4_096
    connections_a_key: Annotated[int, Field(ge=1, le=100_000, description="Requests at a time of one API key.")] = 2_048
    requests_a_minute: Annotated[int, Field(ge=1, le=10_000_000, description="Of one API key.")] = 12_000
    max_waiting: Annotated[int, Field(ge=1, le=100_000, description="Texts that are waited for at once.")] = 5_000

    @field_validator("seal_key", mode="before")
    @classmethod
    def _not_given(cls, value: object) -> object:
        """Read an empty variable, as Compose passes one on that is not set, as none."""
        return None if value == "" else value

    @field_validator("hosts")
    @classmethod
    def _check_hosts(cls, hosts: tuple[str, ...]) -> tuple[str, ...]:
        if any(host_of(each) != each.lower() or "*" in each or not each for each in hosts):
            raise ValueError("names without a port and without *, such as sprat.example.com")
        return hosts

    @field_validator("proxies")
    @classmethod
    def _check_proxies(cls, proxies: tuple[str, ...]) -> tuple[str, ...]:
        for each in proxies:
            try:
                network = ip_network(each)
            except ValueError:
                raise ValueError("addresses or networks, such as 10.0.0.7 or 10.0.0.0/24") from None
            if network.prefixlen == 0:
                raise ValueError("not every address: anybody could then say that a request came by HTTPS")
        return proxies


class GatewaySettings(TaskFilesSettings):
    """All settings of the service."""

    gateway: GatewaySection = GatewaySection()
    trace_url: Annotated[
        str | None,
        Field(pattern=r"^https?://[^\s]+$", description="Address of one trace, with {trace_id}: the page links to it."),
    ] = None


SETTINGS: Final = GatewaySettings
