"""A connection that aiokafka forgets fails no test that runs after it."""

import asyncio
import gc
import sys

from aiokafka.conn import create_conn

from conftest import Kafka


def test_a_connection_that_is_open_when_its_loop_closes_is_closed(kafka: Kafka, monkeypatch):
    seen = []
    monkeypatch.setattr(sys, "unraisablehook", seen.append)
    host, _, port = kafka.bootstrap.rpartition(":")
    connection = asyncio.run(create_conn(host, int(port)))
    assert not connection.connected()
    del connection
    gc.collect()
    assert not seen
