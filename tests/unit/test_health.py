"""The health port over HTTP: `/metrics` beside the probes."""

import asyncio
from contextlib import asynccontextmanager

import httpx
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.resources import Resource

from sprat.telemetry import health
from sprat.telemetry.health import HealthServer, LoopProgress
from sprat.telemetry.prometheus import PrometheusPage


@asynccontextmanager
async def served(page, progress=None):
    server = HealthServer("127.0.0.1", 0, progress or LoopProgress(), dict, page)
    serving = asyncio.create_task(server.serve_bound())
    async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{server.port}") as client:
        yield client
    server.stop()
    await asyncio.wait_for(serving, 5)


async def test_a_loop_that_has_not_begun_is_alive_and_one_that_stops_polling_is_not(monkeypatch):
    """A start has limits of its own: a restart would not bring a broker back."""
    monkeypatch.setattr(health, "STALLED_S", 0.0)
    progress = LoopProgress()
    async with served(None, progress) as client:
        assert (await client.get("/livez")).status_code == 200
        progress.turn()
        answer = await client.get("/livez")
        assert (answer.status_code, answer.json()) == (503, {"alive": False})
        monkeypatch.setattr(health, "STALLED_S", 60.0)
        assert (await client.get("/livez")).status_code == 200


async def test_metrics_are_served_in_the_format_that_is_asked_for():
    reader = InMemoryMetricReader()
    meter = MeterProvider([reader], shutdown_on_exit=False).get_meter("test")
    meter.create_counter("sprat.things", "{thing}", "Things.").add(2)
    async with served(PrometheusPage(reader, Resource({"service.name": "sprat-ner"}))) as client:
        text = await client.get("/metrics")
        openmetrics = await client.get("/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"})
    assert text.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert openmetrics.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0;")
    assert openmetrics.text.endswith("# EOF\n")
    for answer in (text, openmetrics):
        assert answer.status_code == 200
        assert 'sprat_things_total{service_name="sprat-ner"} 2.0\n' in answer.text


async def test_a_disabled_sdk_has_no_metrics_and_says_so():
    async with served(None) as client:
        answer = await client.get("/metrics")
    assert (answer.status_code, answer.text) == (404, "There are no metrics: OTEL_SDK_DISABLED is true.\n")
    assert answer.headers["content-type"].startswith("text/plain")


async def test_a_slow_scrape_does_not_hold_up_the_probes():
    waiting, leave = asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def slow(_):
        loop.call_soon_threadsafe(waiting.set)
        asyncio.run_coroutine_threadsafe(leave.wait(), loop).result(10)
        return b"", "text/plain"

    async with served(slow) as client:
        scrape = asyncio.create_task(client.get("/metrics"))
        await asyncio.wait_for(waiting.wait(), 5)
        assert (await client.get("/livez")).status_code == 200
        leave.set()
        assert (await scrape).status_code == 200
