"""The entries of Kafka's access control lists, and the quotas of users: read them, and add those that are missing."""

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final, get_args

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import SecurityDisabled, for_code

from sprat.base.errors import UserError
from sprat.kafka.clients import close_in_time
from sprat.kafka.requests import (
    USER,
    AlterUserQuotas,
    CreateAclsRequest,
    DescribeAclsRequest,
    DescribeClientQuotasRequest,
)
from sprat_operations.rights import Entry, Finding, Operation, QuotaFinding, Resource, Right

# The numbers of Kafka's protocol, in the order of org.apache.kafka.common.resource.ResourceType and .acl.AclOperation.
_RESOURCES: Final = dict(enumerate(get_args(Resource), start=2))
_OPERATIONS: Final = dict(enumerate(get_args(Operation), start=2))
_LITERAL, _PREFIXED = 3, 4
_DENY, _ALLOW = 2, 3
_ANY: Final = 1
"""Any type, pattern, operation or permission, in a filter of access control lists."""
_ALL_USERS: Final = ((USER, 2, None),)
"""Quotas of users, without those of a client's name."""


@asynccontextmanager
async def _connected(client: Mapping[str, Any]) -> AsyncIterator[Any]:
    connection = AIOKafkaClient(**client)
    try:
        await connection.bootstrap()
        yield connection
    finally:
        await close_in_time(connection.close)


async def read_entries(client: Mapping[str, Any]) -> frozenset[Entry]:
    """Return every entry; `client` holds the arguments of an aiokafka client.

    Raises:
        UserError: the broker has no authorizer.
        KafkaError: Kafka does not answer, or this user may not describe the cluster.
    """
    async with _connected(client) as connection:
        answer = await connection.send(
            connection.get_random_node(), DescribeAclsRequest(_ANY, None, _ANY, None, None, _ANY, _ANY)
        )
    _check(answer.error_code)
    return frozenset(
        Entry(
            principal,
            Right(_RESOURCES[resource], name, _OPERATIONS[operation], prefixed=pattern == _PREFIXED),
            host,
            allows=permission == _ALLOW,
        )
        for resource, name, pattern, entries in answer.resources
        for principal, host, operation, permission in entries
        if resource in _RESOURCES and operation in _OPERATIONS
    )


async def add_missing(client: Mapping[str, Any], findings: Iterable[Finding]) -> None:
    """Permit what the findings say is missing; nothing else is changed.

    Raises:
        UserError: the broker has no authorizer.
        KafkaError: Kafka does not answer, or this user may not alter the cluster.
    """
    resources = {name: number for number, name in _RESOURCES.items()}
    operations = {name: number for number, name in _OPERATIONS.items()}
    async with _connected(client) as connection:
        for each in findings:
            if each.kind != "missing":
                continue
            right = each.right
            pattern = _PREFIXED if right.prefixed else _LITERAL
            place = resources[right.resource], right.name, pattern
            request = CreateAclsRequest(*place, each.principal, "*", operations[right.operation], _ALLOW)
            answer = await connection.send(connection.get_random_node(), request)
            for error, _message in answer.creation_responses:
                _check(error)


async def read_quotas(client: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Return the quotas of each user that has some of its own.

    Raises:
        KafkaError: Kafka does not answer, or this user may not describe settings of the cluster.
    """
    async with _connected(client) as connection:
        answer = await connection.send(
            connection.get_random_node(), DescribeClientQuotasRequest(_ALL_USERS, strict=True)
        )
    _check(answer.error_code)
    return {name: dict(values) for ((_, name),), values in answer.entries or ()}


async def set_missing_quotas(client: Mapping[str, Any], findings: Iterable[QuotaFinding]) -> None:
    """Set the quotas that the findings say are missing; no other is changed.

    Raises:
        KafkaError: Kafka does not answer, or this user may not alter settings of the cluster.
    """
    quotas: dict[str, dict[str, float]] = {}
    for each in findings:
        if each.expected is not None:
            quotas.setdefault(each.user, {})[each.setting] = each.expected
    async with _connected(client) as connection:
        answer = await connection.send(connection.get_random_node(), AlterUserQuotas(quotas))
    for error, *_ in answer.entries:
        _check(error)


def _check(error: int) -> None:
    if for_code(error) is SecurityDisabled:
        raise UserError(
            "this Kafka has no authorizer, so everybody who reaches it may do everything: set in server.properties of "
            "every broker and controller authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer"
        )
    if error:
        raise for_code(error)
