"""The promise of the demo on containers: undisturbed, after kills, through upgrades, and over a down and up."""

import subprocess
import time

import pytest

from support.compose import DOCKER, SERVICES, Compose

pytestmark = pytest.mark.timeout(600)

PAIRS, LETTERS = 386, 35
KEPT = {"intent": 241, "ner": 11, "translation": 9}
"""As `make demo` prints it."""

MOST_MEMORY_MB = 250


def image_of(compose: Compose, service: str) -> str:
    """Return the name and tag of the image that a service runs."""
    return compose("ps", "--format", "{{.Image}}", service).strip()


def check(report, *, repeated: bool) -> None:
    """Check that nothing was lost or doubled; after a kill, a Result may be there twice under one id."""
    print(
        f"{report.results} Results, {report.lost} lost, {report.several_ids} with several ids, "
        f"{report.duplicated_ids} repeated under their id, {report.dead_letters} dead letters, lag {report.lag}"
    )
    assert report.problems == ()
    assert (report.pairs, report.results, report.lost, report.several_ids) == (PAIRS, PAIRS, 0, 0)
    assert repeated or (report.duplicated_ids, report.dead_letters) == (0, LETTERS)
    assert not any(report.lag.values())


async def test_the_demo_keeps_its_promise_with_the_same_counts_as_on_processes(compose: Compose) -> None:
    report = await compose.demo()
    check(report, repeated=False)
    assert {task: each.kept for task, each in report.tasks.items()} == KEPT


def test_the_services_use_the_redis_of_the_installation(compose: Compose) -> None:
    assert int(compose("exec", "--no-TTY", "redis", "redis-cli", "dbsize").split()[-1]) > 0


def test_the_containers_have_no_rights_that_they_do_not_need(compose: Compose) -> None:
    for service in SERVICES:
        (container,) = compose("ps", "--quiet", service).split()
        form = "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}"
        said = subprocess.check_output([str(DOCKER), "inspect", "--format", form, container], text=True)
        assert said == "10001:10001 true [ALL] [no-new-privileges:true]\n"


@pytest.mark.parametrize(("service", "most_mb"), [("router", 200), ("intent", 420)])
def test_an_image_is_not_larger_than_promised(compose: Compose, service: str, most_mb: int) -> None:
    said = subprocess.check_output(
        [str(DOCKER), "image", "inspect", "--format", "{{.Size}}", image_of(compose, service)]
    )
    assert 50 < int(said) / 1e6 <= most_mb


@pytest.mark.parametrize("service", SERVICES)
def test_after_the_samples_a_container_needs_no_more_memory_than_promised(compose: Compose, service: str) -> None:
    (container,) = compose("ps", "--quiet", service).split()
    stats = [str(DOCKER), "stats", "--no-stream", "--format", "{{.MemUsage}}", container]
    said = subprocess.check_output(stats, text=True).partition("MiB")[0]
    assert 20 < float(said) * 2**20 / 1e6 <= MOST_MEMORY_MB


@pytest.mark.parametrize("service", [*SERVICES, "redis", "kafka"])
async def test_a_killed_container_loses_nothing(compose: Compose, service: str) -> None:
    began = time.monotonic()
    report = await compose.demo(("kill", service), ("start", service))
    print(f"{service}: killed and started under traffic, all there after {time.monotonic() - began:.1f} s")
    check(report, repeated=True)


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_is_upgraded_under_traffic_and_nothing_is_repeated(compose: Compose, service: str) -> None:
    running = image_of(compose, service)
    name, _, old = running.rpartition(":")
    tag = f"{old}-next"
    dockerfile = f"FROM {running}\nLABEL org.opencontainers.image.version={tag}\n"
    build = [str(DOCKER), "build", "--quiet", "--tag", f"{name}:{tag}", "-"]
    subprocess.run(build, input=dockerfile, text=True, check=True, capture_output=True)
    compose.variables[f"SPRAT_{service.upper()}_TAG"] = tag
    report = await compose.demo(("up", "--detach", "--wait", "--no-deps", service))
    check(report, repeated=False)
    assert tag in compose("ps", "--format", "{{.Image}}", service)


async def test_down_and_up_keep_what_was_sent(compose: Compose) -> None:
    report = await compose.demo(("down",), ("up", "--detach", "--wait"), pause_s=0)
    check(report, repeated=False)
