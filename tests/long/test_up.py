"""`sprat up`: it gets ready, answers, restarts what dies, and leaves nothing behind."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from sprat_contracts import Topics
from sprat_local.kafka.jars import kafka_dir
from sprat_local.processes.ports import free_port
from support.observed import wait_until
from support.terminal import CLEARED, CTRL_C, Terminal, drawn
from support.up_process import UpProcess, have_ended, is_port_released

TOPICS = Topics()
TEXT = {"text": "please move 100 euros to my savings", "tasks": {"intent": {}}}
WIDE, NARROW = 100, 60
LAST_LINES = ("Ctrl-C stops everything", "(opens the page once, in one browser)")
"""Of the greeting: that of the gateway comes when it is ready."""
MODULES = (
    "sprat_simulator",
    "sprat_router",
    "sprat_intent",
    "sprat_ner",
    "sprat_translation",
    "sprat_frontier",
    "sprat_gateway",
)


@pytest.fixture
def up() -> Iterator[UpProcess]:
    process = UpProcess()
    yield process
    process.end()


async def answer(bootstrap: str, within_s: float) -> dict[str, object]:
    """Publish a text as plain JSON and return its Result."""
    consumer = AIOKafkaConsumer(
        TOPICS.results("intent"),
        bootstrap_servers=bootstrap,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
    )
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap)
    await consumer.start()
    await producer.start()
    try:
        sent = await producer.send_and_wait(TOPICS.texts, json.dumps(TEXT).encode())
        wanted = f"{sent.offset}-{sent.timestamp}"
        async with asyncio.timeout(within_s):
            async for record in consumer:
                result = json.loads(record.value)
                if result["text_id"] == wanted:
                    return dict(result)
    finally:
        await producer.stop()
        await consumer.stop()
    raise AssertionError("unreachable")


@pytest.mark.timeout(180)
async def test_up_answers_restarts_what_is_killed_and_stops_within_five_seconds(up: UpProcess) -> None:
    await asyncio.to_thread(up.wait_ready)
    said = up.output.splitlines()
    assert said[0] == "starting Kafka, Redis and the services"
    assert [line.split(" ready after")[0].strip() for line in said[1:5]] == [
        "kafka and redis",
        "topics",
        "services",
        "Sprat is",
    ]
    children, port, folder = up.children(), up.port, up.run_folder
    assert (await answer(up.bootstrap, 20))["status"] == "answered"

    for module in ("sprat_intent", "sprat_frontier"):
        first = up.pid_of(module)
        assert first is not None
        children += up.children()
        signal_at = time.monotonic()
        next(child for child in up.children() if child.pid == first).send_signal(signal.SIGKILL)
        await asyncio.to_thread(up.wait_for, lambda m=module, pid=first: up.pid_of(m) not in {None, pid}, 10)
        assert time.monotonic() - signal_at < 10
        name = module.removeprefix("sprat_")
        assert f"{name}: died: killed by SIGKILL; restart 1 in" in up.output
    # The group waits for the killed member until its session has run out.
    assert (await answer(up.bootstrap, 90))["status"] == "answered"

    children += up.children()
    at = time.time()
    code, seconds = await asyncio.to_thread(up.interrupt)
    assert (code, seconds < 5) == (0, True), up.output
    assert have_ended(children, 0.5)
    assert is_port_released(port, at)
    assert not folder.exists()


@pytest.mark.timeout(180)
def test_commands_that_are_told_nothing_find_the_users_own_one(tmp_path: Path) -> None:
    """On other ports than the usual ones, as where somebody else has these."""
    cache, folder, port = tmp_path / "cache" / "sprat", tmp_path / "folder", free_port()
    cache.mkdir(parents=True)
    folder.mkdir()
    (cache / kafka_dir().name).symlink_to(kafka_dir())
    named = {"SPRAT_KAFKA__BOOTSTRAP": f"127.0.0.1:{port}"}
    (folder / ".env").write_text("SPRAT_POLICY=policy.yaml\n")
    rules = "tasks: {intent: {keep_at: 1}}\ntenants: {acme-bank: {frontier: deny}}\ninside: [127.0.0.1]\n"
    (folder / "policy.yaml").write_text(rules)
    env = {name: value for name, value in os.environ.items() if not name.startswith("SPRAT_")}
    env |= {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    up = UpProcess("--prefix", "mine", "--with", "language-id", cwd=folder, env=env | named)

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "sprat_cli", *arguments]
        return subprocess.run(command, env=env, cwd=folder, capture_output=True, text=True, timeout=90, check=False)

    try:
        up.wait_ready()
        assert up.bootstrap == f"127.0.0.1:{port}"
        sent = run("send", "Waar blijft mijn bestelling?", "--task", "language-id", "--json")
        (result,) = (json.loads(line)["result"] for line in sent.stdout.splitlines())
        assert (sent.returncode, result["output"]["label"]) == (0, "nl")
        assert sent.stderr.startswith(f"using your `sprat up` at {up.bootstrap}; for another Kafka, name it with")
        assert "\n  policy    policy.yaml\n" in up.output
        denied = run("send", TEXT["text"], "--tenant", "acme-bank", "--frontier", "allow", "--task", "intent", "--json")
        (result,) = (json.loads(line)["result"] for line in denied.stdout.splitlines())
        assert (result["declined"]["code"], result["egress"]["left"]) == ("policy", False), (
            "that of .env, to which the simulator is outside"
        )
        checks = [json.loads(line) for line in run("doctor", "--json").stdout.splitlines()]
        found = {check["about"]: check["found"] for check in checks}
        redis = up.redis.removeprefix("redis://").removesuffix("/0")
        where = f"Kafka at {up.bootstrap}, Redis at {redis} (process {up.process.pid})"
        assert found["ports"] == f"your `sprat up` runs: {where}"
        in_force = f"the policy of your `sprat up`: {folder / 'policy.yaml'}: 1 tenant"
        assert in_force in [check["found"] for check in checks if check["about"] == "policy"]
        assert found["frontier"] == "your `sprat up` asks its simulator"
        assert found["redis"].startswith(f"{redis} answers in"), "with the password of this run"
    finally:
        up.end()


@pytest.mark.timeout(180)
def test_the_line_for_curl_answers_and_the_page_shows_the_way_of_its_text(up: UpProcess) -> None:
    up.wait_ready()
    shown = re.search(r"  http +(curl (\S+)/v1/texts .*?)\n +\(", up.output, re.DOTALL)
    assert shown, up.output
    command, door = shown.groups()
    answered = subprocess.run(["bash", "-c", f"{command} --silent"], capture_output=True, text=True, check=True)
    answer = json.loads(answered.stdout)
    assert answer["results"]["intent"]["output"]["label"] == "transfer", answered.stdout
    gateway = next(child for child in up.children() if child.pid == up.pid_of("sprat_gateway"))
    assert not {"SPRAT_SECRET", "SPRAT_AUDIT__KEY_FILE"} & gateway.environ().keys()

    address = re.search(r"  page +(\S+)", up.output)
    assert address
    with httpx.Client(base_url=door, timeout=20) as browser, httpx.Client(timeout=20) as other:
        assert browser.get(address[1]).status_code == 200
        assert other.get(address[1]).status_code == 401, "the address opens the page once"
        page = f"/page/texts/{answer['uuid']}"
        wait_until(lambda: TOPICS.results("intent") in browser.get(page).text, 20, lambda: browser.get(page).text)
        assert TOPICS.predictions("intent") in browser.get(page).text
        assert TEXT["text"] not in browser.get(page).text, "hidden until somebody asks for it"
        assert other.get(f"{door}{page}").status_code == 401

    log = (up.run_folder / "logs" / "gateway.log").read_text()
    token, key = re.search(r"token=(\S+)", address[1]), re.search(r"Bearer (\S+?)'", command)
    assert token
    assert key
    assert [each for each in (token[1], key[1], TEXT["text"]) if each in log] == []


def test_up_that_is_killed_leaves_no_process(up: UpProcess) -> None:
    up.wait_ready()
    children, port = up.children(), up.port
    assert {module for module in MODULES if up.pid_of(module)} == set(MODULES)
    at = time.time()
    up.process.kill()

    assert have_ended(children, 5)
    assert is_port_released(port, at)


def test_up_that_is_interrupted_while_it_starts_leaves_no_process(up: UpProcess) -> None:
    up.wait_for(lambda: len(up.children()) >= 3, 30)  # Kafka, Redis and the simulator
    children = up.children()
    code, seconds = up.interrupt(signal.SIGTERM)

    assert (code, seconds < 5) == (0, True), up.output
    assert have_ended(children, 0.5)


def test_up_kills_at_once_when_it_is_interrupted_twice(up: UpProcess) -> None:
    up.wait_ready()
    children, folder = up.children(), up.run_folder
    router = next(child for child in children if child.pid == up.pid_of("sprat_router"))
    router.suspend()  # it would be waited for
    up.process.send_signal(signal.SIGINT)
    time.sleep(0.3)  # the first signal is handled: it waits for the router, up to 2.5 s
    up.process.send_signal(signal.SIGINT)

    assert have_ended([router], 1.9), f"it was waited for: {up.output}"
    assert up.process.wait(10) == 0, up.output
    assert have_ended(children, 0.5)
    assert not folder.exists()


def table(lines: list[str]) -> list[str]:
    """Return what was drawn below the greeting since it was printed last, without notices: the terminal wraps these."""
    shown = [line for line in drawn(lines) if not re.match(r"\S+: ", line)]
    below = [row for row, line in enumerate(shown, 1) if line.strip() in LAST_LINES]
    return shown[below[-1] :] if below else []


def headings(rows: list[str]) -> list[str]:
    return [row for row in rows if row.startswith("service ")]


@pytest.mark.timeout(180)
def test_up_on_a_terminal_shows_how_far_it_is_and_a_table_as_wide_as_the_window() -> None:
    sized = {"COLUMNS", "LINES"}  # would be believed instead of the window
    env = {name: value for name, value in os.environ.items() if name not in sized} | {"TERM": "xterm-256color"}
    with Terminal(WIDE) as terminal:
        up = UpProcess(env=env, terminal=terminal)
        try:
            up.wait_ready()
            start = up.output.partition("Sprat is ready after")[0].splitlines()
            seconds = {line for line in drawn(start) if line.startswith("starting, ")}
            ready_after_s = float(up.output.partition("Sprat is ready after ")[2].split()[0])
            assert drawn(start)[0] == "starting Kafka, Redis and the services"
            assert len(seconds) >= max(2, ready_after_s / 2), "it shows for how long it has been starting"
            up.wait_for(lambda: len(headings(table(up.lines))) >= 2, 20)
            assert NARROW < max(map(len, table(up.lines))) <= WIDE
            assert "restarts" in headings(table(up.lines))[-1]

            before = len(up.lines)
            terminal.resize(NARROW)
            up.wait_for(lambda: any(CLEARED in line for line in up.lines[before:]), 20)
            cleared = next(row for row, line in enumerate(up.lines) if row >= before and CLEARED in line)
            up.wait_for(lambda: len(headings(table(up.lines[cleared:]))) >= 3, 20)
            rows = table(up.lines[cleared:])
            assert max(map(len, rows)) <= NARROW
            assert {heading.split()[-1] for heading in headings(rows)} == {"p95"}, "the last for which there is room"
            assert any(row.split()[:2] == ["router", "ready"] for row in rows)

            children = up.children()
            code, seconds_to_end = up.ended_by(lambda: terminal.type(CTRL_C))
            assert (code, seconds_to_end < 5) == (0, True), up.output
            assert have_ended(children, 0.5)
            assert "stopped in" in up.output
            assert "killed" not in up.output, "nothing hung"
        finally:
            up.end()


def without_a_core_s(task: str) -> float:
    """Return for how many seconds a process or thread, by its folder, could have run, but others had the cores.

    A kernel that does not count them says 0.
    """
    file = Path(task, "schedstat")
    return int(file.read_text().split()[1]) / 1e9 if file.exists() else 0.0


def test_up_says_that_it_starts_before_it_imports_what_it_needs() -> None:
    """Within half a second, and half a second of a core; without the time in which other tests have the cores."""
    command = [
        sys.executable,
        "-m",
        "sprat_cli",
        "up",
        "--bootstrap",
        "127.0.0.1:1",
        "--redis",
        "redis://127.0.0.1:1/0",
    ]
    used, passed = [], []
    for _ in range(3):  # a busy machine lets it run on before its time is read
        began, without = time.monotonic(), without_a_core_s("/proc/thread-self")
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == b"starting Kafka, Redis and the services\n"
            at = time.monotonic()
            without = without_a_core_s("/proc/thread-self") - without + without_a_core_s(f"/proc/{process.pid}")
            spent = psutil.Process(process.pid).cpu_times()
            process.kill()
        used.append(spent.user + spent.system)
        passed.append(at - began - without)

    assert min(used) < 0.5, used
    assert min(passed) < 0.5, passed


def test_up_says_why_it_cannot_start() -> None:
    up = UpProcess("--frontier", "http://127.0.0.1:9/v1")
    try:
        code = up.process.wait(60)
        up.end()
    finally:
        up.end()

    assert code == 2
    assert "kafka" not in up.output, "before Kafka is started"
    names = ("MODEL", "PROVIDER", "REGION", "PRICES")
    assert f"set {', '.join(f'SPRAT_FRONTIER__{name}' for name in names)}, too; prices are in euros" in up.output
