"""What Sprat costs and how fast it is, as Markdown: alone, beside peers, and for sizing."""

from collections.abc import Iterator, Mapping
from statistics import median
from typing import Final

from sprat_local.bench.resources import OURS
from tests.bench.table import Figures, lines, parts, percent, sentence, table

STAGES: Final = {
    "producer": "the client's producer, until the broker appends the text",
    "service: until it is asked": "fetch, poll, decode; what the lexical stage leaves to the encoder also waits for it",
    "service: cache look-up": "one look-up in Redis, of what the lexical stage leaves",
    "service: model": "the stage that answers",
    "service: until it is sent": "the Prediction is made and encoded, after those in publication",
    "service: publish": "the service's producer, until the broker appends the Prediction",
    "router: until it is polled": "fetch and poll, while an earlier batch is decided",
    "router: decide": "decode, decide, encode, after those in publication",
    "router: publish": "the router's producer, until the broker appends the Result",
    "consumer": "the consumer's fetch, until it has the Result",
}
"""Stage → what happens in it, in the order of a text's way."""

PARTS: Final = {
    "intent": "service",
    "router": "router",
    "kafka": "Kafka",
    "redis": "Redis",
    OURS: "the client that sends and receives",
}
"""Process → what it is called."""

DATA: Final = {"clinc150": "CLINC150", "banking77": "BANKING77"}
RUNTIMES: Final = {
    f"{runtime}-{numbers}-{batch}": f"{title} {numbers}, {how}"
    for runtime, title in (("ctranslate2", "CTranslate2"), ("onnx", "ONNX Runtime"))
    for numbers in ("int8", "float32")
    for batch, how in (("1", "one by one"), ("32", "batches of 32"))
}
OWN: Final = "sprat-en-fast"
"""Sprat with the encoder that the peers have."""
PLAIN: Final = "ctranslate2-32"
"""The plain loop with the runtime that Sprat has."""
SERVICE: Final = "intent"
QUIET_CORES: Final = 0.3
"""Where other programs used more, no latency is stated."""
SERVERS: Final = ("kafka", "redis")
TEXTS_A_DAY: Final = 1_000_000

_MACHINE: Final = (
    "Machine: {cores} cores of {cpu}, {memory_gb} GB, Python {python}, Kafka {kafka}, with broker and client; "
    "load before {load_before}."
)


def latency(figures: Figures) -> str:
    """Return the stages and the CPU of a text, by load."""
    loads = figures["loads"]
    heads = [f"{100 * load['share']:.0f} % of saturation" for load in loads]
    rows = [[name, *(_two(load["stages_ms"][name]) for load in loads)] for name in loads[0]["stages_ms"]]
    rows += [
        [f"**from due to received, {how}**", *(_two(load[times]) for load in loads)]
        for how, times in (("with traces", "traced_end_to_end_ms"), ("without traces", "end_to_end_ms"))
    ]
    counts = ", ".join(f"{load['texts']:,} at {100 * load['share']:.0f} %" for load in loads)
    about = (
        f"CLINC150's test texts, the shipped `default`. Saturation {figures['saturation_per_s']:,.0f} texts/s; texts: "
        f"{counts}. {sentence(_MACHINE, figures['machine'])}"
    )
    picture = "![the way of a text through its stages](../images/latency.png)"
    return parts(about, picture, lines(["milliseconds, p50 / p99", *heads], rows), _cost_of_a_text(figures, heads))


def _cost_of_a_text(figures: Figures, heads: list[str]) -> str:
    """Return the CPU of each process by load, and how many cores that is."""
    loads = figures["loads"]
    costs = [figures["backlog_cpu_ms_per_text"], *(load["cpu_ms_per_text"] for load in loads)]
    rates = [figures["saturation_per_s"], *(load["per_s"] for load in loads)]
    together = [sum(cost[part] for part in PARTS) for cost in costs]
    cores = [each * rate / 1000 for each, rate in zip(together, rates, strict=True)]
    rows = [[name, *(f"{cost[part]:.1f}" for cost in costs)] for part, name in PARTS.items()]
    rows += [["together", *(f"{each:.1f}" for each in together)], ["cores in use", *(f"{each:.2f}" for each in cores)]]
    return lines(["CPU, milliseconds per text", "backlog", *heads], rows)


def floor(figures: Figures) -> str:
    """Return how far Sprat is from the bare path, at each rate and with full batches."""
    about = (
        f"CLINC150's test texts, the shipped `default`, {figures['rounds']} rounds of {figures['seconds']:g} s a rate; "
        f"both ways in turns. {sentence(_MACHINE, figures['machine'])}"
    )
    rows = [
        [
            f"{load['per_s']:,.0f}",
            _two(load["floor_ms"]),
            f"{load['model_ms']:.1f}",
            _two(load["sprat_ms"]),
            _two(load["aim_ms"]),
            *_beside_the_bare_path(load["cpu_ms_per_text"]),
        ]
        for load in figures["loads"]
    ]
    backlog = figures["backlog"]
    rows.append(
        [f"backlog, {backlog['texts_per_s']:,.0f}", *4 * ["–"], *_beside_the_bare_path(backlog["cpu_ms_per_text"])]
    )
    head = ["texts/s", "bare path, ms, p50 / p99", "in the model, ms", "Sprat, ms, p50 / p99", "aim, ms"]
    head += ["CPU, ms a text: bare path", "router", "service", "Kafka"]
    return parts(about, lines(head, rows), "\n".join(f"- {line}" for line in _full_batches(backlog["cpu_ms_per_text"])))


def _beside_the_bare_path(cpu: Mapping[str, float]) -> list[str]:
    return [f"{each:.2f}" for each in (bare_path(cpu), *(cpu[name] for name in ("router", SERVICE, "kafka")))]


def bare_path(cpu: Mapping[str, float]) -> float:
    """Return the CPU of the bare path's processes: together they handle two records a text, as the router does."""
    return cpu["first hop"] + cpu["second hop"]


def _full_batches(cpu: Mapping[str, float]) -> Iterator[str]:
    """Yield the aims for a backlog, and what was measured."""
    router, beside = cpu["router"], cpu[SERVICE] - cpu["model"]
    times = router / bare_path(cpu)
    yield f"Router, full batches: {router:.2f} ms a text (aim 0.30), {times:.1f} times the bare path."
    yield f"Service beside its model ({cpu['model']:.2f} ms alone), full batches: {beside:.2f} ms a text (aim 0.25)."


def peers(figures: Figures) -> str:
    """Return the systems side by side."""
    head = [
        "system; CLINC150, BANKING77",
        "texts per CPU second of the model's process",
        "of all processes",
        "with Kafka",
    ]
    head += ["p50 / p99 at half of its saturation, ms, at texts/s", "peak memory, MB", "start to first answer, s"]
    sets = list(figures["texts"])
    rows = [
        [
            system["title"],
            ", ".join(f"{1000 / _own_cpu(system, of):,.0f}" for of in sets),
            ", ".join(f"{1000 / _ours_cpu(system, of):,.0f}" for of in sets),
            ", ".join(f"{1000 / _all_cpu(system, of):,.0f}" for of in sets),
            ", ".join(_half(system[of]) for of in sets),
            f"{system['memory_mb'][SERVICE]:,.0f}",
            f"{system['first_answer_s']:.1f}" if is_quiet(system[sets[0]]) else "–",
        ]
        for system in figures["systems"].values()
    ]
    picture = "![Sprat beside its peers](../images/peers.png)"
    notes = "\n".join(f"- {line}" for line in _compared(figures))
    return parts(_peers_data(figures), picture, lines(head, rows), notes)


def _peers_data(figures: Figures) -> str:
    texts = " and ".join(
        f"{count:,} test texts of {DATA[of]} ({figures['words'][of]:.1f} words)"
        for of, count in figures["texts"].items()
    )
    busy = [system[of]["others_cores"] for system in figures["systems"].values() for of in figures["texts"]]
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    return (
        f"{texts}. {sentence(_MACHINE, figures['machine'])} Other programs used {min(busy):.1f} to {max(busy):.1f} of "
        f"its cores meanwhile. Versions: {versions}."
    )


def _compared(figures: Figures) -> Iterator[str]:
    """Yield which peers need less CPU than Sprat, and why times are missing."""
    own = figures["systems"][OWN]
    rivals = [system for name, system in figures["systems"].items() if not name.startswith("sprat")]
    if PLAIN in figures["systems"]:
        plain = figures["systems"][PLAIN]
        times = ", ".join(f"{_ours_cpu(plain, of) / _ours_cpu(own, of):.2f}" for of in figures["texts"])
        yield f"Texts per CPU second with router and Redis, Kafka apart: {times} times {plain['title']} (aim 1.2)."
    for of in figures["texts"]:
        for what, needed in (("its service", _own_cpu), ("all its processes and Kafka", _all_cpu)):
            times = {each["title"]: needed(own, of) / needed(each, of) for each in rivals}
            ahead = [f"{title} ({ratio:.2f} times)" for title, ratio in times.items() if ratio > 1]
            said = f"more CPU than {'; '.join(ahead)}." if ahead else "no peer needs less CPU."
            yield f"{DATA[of]}, `en-fast`, {what}: {said}"
    if not all(is_quiet(system[of]) for system in figures["systems"].values() for of in figures["texts"]):
        yield f"Times are stated only where other programs used at most {QUIET_CORES} cores."


def peers_killed(figures: Figures) -> str:
    """Return what a SIGKILL loses and doubles."""
    rows = []
    for each in figures["crashes"].values():
        rounds = each["rounds"]
        texts, lost, doubled = (sum(one[what] for one in rounds) for what in ("texts", "lost", "doubled"))
        silent = f"{median(one['silent_s'] for one in rounds):.1f}"
        rows.append([each["title"], f"{len(rounds)}", f"{texts:,}", f"{lost}", f"{doubled}", silent])
    head = ["one SIGKILL in the middle of each run", "runs", "texts", "lost", "answered twice", "longest silence, s"]
    return lines(head, rows)


def runtimes(figures: Figures) -> str:
    """Return CPU, memory and agreement of each runtime."""
    rows = [
        [
            title,
            ", ".join(f"{one['cpu_s_per_1000']:.2f}" for one in each.values()),
            f"{max(one['memory_mb'] for one in each.values()):,.0f}",
            ", ".join(percent(one["same_label_as_original"]) for one in each.values()),
        ]
        for title, each in ((title, figures["runtimes"][name]) for name, title in RUNTIMES.items())
    ]
    head = ["runtime; CLINC150, BANKING77", "CPU s per 1,000 texts", "peak memory, MB", "same label as the original, %"]
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    texts = " and ".join(f"{count:,} texts of {DATA[of]}" for of, count in figures["texts"].items())
    return parts(f"{texts}, median of {figures['rounds']} rounds. Versions: {versions}.", lines(head, rows))


def machine(figures: Figures) -> str:
    """Return start, memory and CPU of an installation beside their targets."""
    cost = figures["stream_cost"]
    memory = sorted(figures["rss_mb"].items(), key=lambda each: -each[1])
    services = ", ".join(f"{name} {size}" for name, size in memory if name not in {"redis-server", "kafka.Kafka"})
    low, high, rounds = min(cost["ratios"]), max(cost["ratios"]), cost["rounds"]
    idle = figures["idle_share_of_a_core"].values()
    rows = [
        (
            "start of `sprat up` to the first Result, all included, median",
            "≤ 10 s",
            f"{figures['first_result_s']:.1f} s, {figures['rounds']} starts",
        ),
        ("resident memory of a service", "≤ 300 MB", f"{services} MB"),
        ("CPU of an idle service, share of a core", "≤ 3 %", f"{percent(min(idle))} to {percent(max(idle))} %"),
        (
            "CPU of the intent service, times that of the bare model, real Kafka",
            "≤ 1.25",
            f"{cost['ratio']:.2f} with `en-fast`, {rounds} rounds ({low:.2f} to {high:.2f}), {cost['texts']:,} texts",
        ),
    ]
    return lines(["what", "target", "measured"], rows)


def sizing(figures: Figures) -> dict[str, str]:
    """Return the parts of the page of sizing, by their names."""
    return {
        "sizing-data": _sizing_data(figures),
        "sizing-cpu": _sizing_cpu(figures),
        "sizing-memory": table(
            {"process": "`{name}`", "peak of resident memory, MB": "{peak}"},
            (
                {"name": name, "peak": peak}
                for name, peak in sorted(figures["memory_peak_mb"].items(), key=lambda each: -each[1])
            ),
        ),
        "sizing-bytes": lines(
            ["texts", "bytes per text in each topic", f"GB kept at {TEXTS_A_DAY:,} a day", "bytes in Redis"],
            (_sizing_bytes(row, figures["retention_days"]) for row in figures["rows"]),
        ),
    }


def _sizing_data(figures: Figures) -> str:
    texts = "; ".join(f"{row['texts']:,} {row['kind']}" for row in figures["rows"])
    lengths = [row["characters"] for row in figures["rows"]]
    most = max(row["others_cores"] for row in figures["rows"])
    return (
        f"Data: the demo's English texts, numbered so that each is different ({texts}), {min(lengths)} to "
        f"{max(lengths)} characters on average. "
        + sentence(
            "Machine: {cores} cores of {cpu}, {memory_gb} GB, Python {python}, Kafka {kafka}", figures["machine"]
        )
        + f"; other programs used up to {most} cores meanwhile."
    )


def _sizing_cpu(figures: Figures) -> str:
    rows = [
        row | {"own": row["cpu_s_per_1000"][row["service"]], "small": 100 * row["ends"].get("small", 0) / row["texts"]}
        for row in figures["rows"]
    ]
    columns = {
        "texts": "{kind}",
        "answered by the small model, %": "{small:.0f}",
        "service": "`{service}`",
        "per second and core": "{rate:,.0f}",
        "CPU s per 1,000: service": "{own:.2f}",
        **{name: f"{{cpu_s_per_1000[{name}]:.2f}}" for name in ("router", *SERVERS)},
    }
    return table(columns, (row | {"rate": 1000 / row["own"]} for row in rows))


def _sizing_bytes(row: Figures, days: Mapping[str, float]) -> list[str]:
    """Return what a text leaves in Kafka, by topic and days kept, and in Redis."""
    kept = {topic: size for topic, size in row["bytes_per_text"].items() if size and topic in days}
    topics = ", ".join(
        f"{topic.removeprefix('sprat.').removesuffix('.v1')} {size:,} ({days[topic]:.0f} d)"
        for topic, size in kept.items()
    )
    total = sum(size * days[topic] * TEXTS_A_DAY / 1e9 for topic, size in kept.items())
    return [row["kind"], topics, f"{total:,.1f}", f"{row['redis']['bytes'] / row['texts']:,.0f}"]


def _own_cpu(system: Figures, name: str) -> float:
    return float(system[name]["cpu_s_per_1000"][SERVICE])


def is_quiet(figures: Figures) -> bool:
    """Return whether a latency says something of the system rather than of the other programs of the machine."""
    return bool(figures["others_cores"] <= QUIET_CORES)


def _ours_cpu(system: Figures, of: str) -> float:
    """Return CPU seconds per 1,000 texts of all processes of a system."""
    return float(sum(system[of]["cpu_s_per_1000"].values()))


def _all_cpu(system: Figures, of: str) -> float:
    """Return CPU seconds per 1,000 texts of all processes of a system, and of Kafka."""
    return _ours_cpu(system, of) + float(system[of]["broker_cpu_s_per_1000"])


def _half(figures: Figures) -> str:
    load = figures["half_load"]
    times = f"{1000 * load['p50']:,.0f} / {1000 * load['p99']:,.0f} at {load['per_s']:,.0f}"
    return times if is_quiet(figures) else "–"


def _two(quantiles: Mapping[str, float]) -> str:
    return f"{quantiles['p50']:.1f} / {quantiles['p99']:.1f}"
