"""The exit code and the log of a service that ends by itself: what ends it is an error, whatever its class."""

import asyncio

import pytest

from sprat import runtime
from sprat.base.errors import UserError
from support.panics import PanicException
from support.stream import chassis_of


@pytest.mark.parametrize("error", [ZeroDivisionError(), PanicException("a text"), asyncio.CancelledError()])
async def test_an_error_at_the_start_is_logged_without_its_message_and_the_code_is_1(error, caplog):
    async def fail():
        raise error

    context = chassis_of("h:1")
    work = asyncio.create_task(fail())
    await asyncio.wait({work})
    assert await runtime.stop_work(context, work) == 1
    assert f"stopping: {type(error).__name__} (a defect)" in caplog.text
    assert "a text" not in caplog.text


async def test_a_mistake_of_the_user_at_the_start_has_code_2():
    async def fail():
        raise UserError("a setting")

    work = asyncio.create_task(fail())
    await asyncio.wait({work})
    assert await runtime.stop_work(chassis_of("h:1"), work) == 2


async def test_a_service_that_is_stopped_while_it_works_has_code_0():
    work = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)
    assert await runtime.stop_work(chassis_of("h:1"), work) == 0


@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt()])
def test_what_ends_the_event_loop_has_code_1_and_is_logged(error, caplog):
    """`sys.exit()` somewhere in a library would look like a service that was stopped."""

    async def run():
        raise error

    assert runtime.exit_code_of(run()) == 1
    assert f"stopping: {type(error).__name__}" in caplog.text


def test_a_service_that_ends_has_its_own_code():
    async def run():
        return 2

    assert runtime.exit_code_of(run()) == 2
