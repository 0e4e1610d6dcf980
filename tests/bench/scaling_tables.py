"""The tables of scaling.py on the page of sizing, and what a million texts a minute would need by these figures."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from tests.bench.table import NOTHING, Figures, lines, parts, sentence

WAITED_S: Final = 2.0
"""No text may wait longer while instances are restarted."""
A_MINUTE: Final = 1_000_000
"""Texts of the computed installation."""
A_HALF_MORE: Final = 1.5
"""For peaks, and for the loss of an instance."""
COPIES: Final = 3
COPIES_CPU_MS: Final = 0.12
"""What two further copies of a record cost the brokers, see "Copies" on the page."""
RECORDS: Final = 3
"""Of a text: itself, its Prediction, its Result."""
BROKER_CORES: Final = 8
EURO_A_CORE_HOUR: Final = 0.03
EURO_A_GB_MONTH: Final = 0.05
"""Prices are assumptions: nothing here measures them."""
HOURS_A_MONTH: Final = 730
SERVICES: Final = ("intent", "router", "kafka", "redis")


def scaling(read: Callable[[str], Figures]) -> dict[str, str]:
    """Return the parts of the page by their names; `read` returns the figures that were saved under a name."""
    tables: dict[str, Callable[[Figures], str]] = {
        "waiting": _steps,
        "instances": _steps,
        "restart": _restarts,
        "backlog": partial(_costs, title="unanswered texts", name="depth"),
        "models": partial(_costs, title="models", name="models"),
        "tenants": partial(_costs, title="tenants", name="tenants"),
    }
    found = {"scaling-million": million(read("sizing"))}
    for part, of in tables.items():
        try:
            found[f"scaling-{part}"] = of(read(f"scaling-{part}"))
        except FileNotFoundError:
            found[f"scaling-{part}"] = f"Not measured yet: `make bench-scaling ONLY={part}`."
    return found


def _about(figures: Figures) -> str:
    """Return the machine of a measurement, and what other programs used of it."""
    others = [load["others_cores"] for row in figures["rows"] if "others_cores" in (load := row.get("backlog", row))]
    busy = f"; other programs used up to {max(others):.1f} cores meanwhile" if others else ""
    part = "" if figures["share"] == 1 else f" **A short run**, {figures['share']:g} of the texts and seconds."
    return sentence("{cores} cores of {cpu}, Python {python}, Kafka {kafka}", figures["machine"]) + f"{busy}.{part}"


def _steps(figures: Figures) -> str:
    head = ["intent", "router", "texts/s of a backlog", "CPU, ms a text: intent, router, Kafka"]
    head += ["p50 / p99 at half of it, ms", "rebalances: pause p50 / max, s", "longest wait meanwhile, ms", "repeats"]
    rows = [
        [
            f"{row['intent']}",
            f"{row['router']}",
            f"{row['backlog']['texts_per_s']:,.0f}",
            ", ".join(f"{row['backlog']['cpu_ms_per_text'][name]:.2f}" for name in ("intent", "router", "kafka")),
            f"{_ms(row['half']['p50_ms'])} / {_ms(row['half']['p99_ms'])}",
            _pauses(row["join"]["rebalances"]),
            _ms(row["join"]["max_ms"]),
            f"{row['join']['repeats'] + row['half']['repeats']}",
        ]
        for row in figures["rows"]
    ]
    return parts(_about(figures), lines(head, rows))


def _ms(milliseconds: float | None) -> str:
    return NOTHING if milliseconds is None else f"{milliseconds:,.0f}"


def _pauses(rebalances: Mapping[str, Mapping[str, Any]]) -> str:
    found = [f"{name} {each['p50_s']:.2f} / {each['max_s']:.2f}" for name, each in rebalances.items() if each["count"]]
    return ", ".join(found) or NOTHING


def _restarts(figures: Figures) -> str:
    head = ["restarted", "instances", "texts", "p50 / p99, ms", "longest wait, ms", "waited over 2 s"]
    head += ["longest time without a Result, ms", "rebalances of a member: number, p50 / max, s", "repeats"]
    rows = [
        [
            f"`{row['service']}`",
            f"{row['instances']}",
            f"{row['texts']:,} at {row['per_s']:.0f}/s",
            f"{_ms(row['p50_ms'])} / {_ms(row['p99_ms'])}",
            _ms(row["max_ms"]),
            f"{row['longer_than_2_s']}",
            _ms(row["longest_silence_ms"]),
            f"{row['rebalances'][row['service']]['count']}, {_pauses(row['rebalances'])}",
            f"{row['repeats']}",
        ]
        for row in figures["rows"]
    ]
    return parts(_about(figures), lines(head, rows), _judged(figures["rows"]))


def _judged(rows: Sequence[Figures]) -> str:
    """Return what the pauses say of other ways to assign partitions."""
    own = [row["rebalances"][row["service"]] for row in rows]
    longest = max(each["max_s"] for each in own)
    number = sum(each["count"] for each in own)
    said = f"The longest of {number} pauses was {longest:.2f} s"
    if longest < WAITED_S:
        return f"{said}: within {WAITED_S:g} s, another way to assign partitions is not needed."
    return f"{said}: longer than the {WAITED_S:g} s that a text may wait."


def _costs(figures: Figures, title: str, name: str) -> str:
    head = [title, "texts/s", f"CPU, ms a text: {SERVICES[0]}", *SERVICES[1:], "together"]
    rows = figures["rows"]
    together = [sum(row["cpu_ms_per_text"][each] for each in SERVICES) for row in rows]
    cells = [
        [f"{row[name]:,}", f"{row['texts_per_s']:,.0f}"]
        + [f"{row['cpu_ms_per_text'][each]:.2f}" for each in SERVICES]
        + [f"{used:.2f}"]
        for row, used in zip(rows, together, strict=True)
    ]
    return parts(_about(figures), lines(head, cells), slope(rows[0][name], rows[-1][name], together))


def slope(first: int, last: int, cpu_ms: Sequence[float]) -> str:
    """Return how the cost of a text grows from the first row to the last."""
    more = (cpu_ms[-1] - cpu_ms[0]) / (last - first)
    each = f", {more:.3f} ms for each" if abs(more) >= 0.001 else ""
    return f"From {first:,} to {last:,}: {cpu_ms[-1] / cpu_ms[0]:.2f} times the CPU{each}."


def million(sizing: Figures) -> str:
    """Return what so many texts a minute need, answered by the intent service alone."""
    return lines(["part", "sum", "with a half more"], _million(sizing))


def _million(sizing: Figures) -> Iterator[list[str]]:
    per_s = A_MINUTE / 60
    row = next(each for each in sizing["rows"] if each["kind"] == "intent")
    cpu = dict(row["cpu_s_per_1000"])
    copies = COPIES_CPU_MS * RECORDS
    yield ["texts", f"{A_MINUTE:,} ÷ 60 = {per_s:,.0f} a second", NOTHING]
    cores = {}
    for name in ("intent", "router", "redis"):
        needed = per_s * cpu[name] / 1000
        cores[name] = math.ceil(A_HALF_MORE * needed)
        more = "one" if name == "redis" else f"{cores[name]} instances of one core"
        yield [
            f"`{name}`" if name != "redis" else "Redis",
            f"{per_s:,.0f} × {cpu[name]:.2f} ms = {needed:.1f} cores",
            more,
        ]
    needed = per_s * (cpu["kafka"] + copies) / 1000
    brokers = max(COPIES, math.ceil(A_HALF_MORE * needed / BROKER_CORES))
    cores["kafka"] = brokers * BROKER_CORES
    yield [
        "Kafka, three copies",
        f"{per_s:,.0f} × ({cpu['kafka']:.2f} + {copies:.2f}) ms = {needed:.1f} cores",
        f"{brokers} brokers of {BROKER_CORES} cores",
    ]
    partitions = 2 ** math.ceil(math.log2(cores["intent"]))
    yield ["partitions", f"at least {cores['intent']}: a partition has one reader of a service", f"{partitions}"]
    written = {topic: size for topic, size in row["bytes_per_text"].items() if size}
    a_second = per_s * sum(written.values()) / 1e6
    yield ["bytes written", f"{a_second:.0f} MB a second, {COPIES * a_second:.0f} with three copies", NOTHING]
    days = sizing["retention_days"]
    kept = COPIES * sum(size * days[topic] for topic, size in written.items() if topic in days)
    disk_gb = kept * per_s * 86_400 / 1e9
    yield ["disk, three copies", f"{disk_gb:,.0f} GB with the retention of `sprat topics create`", NOTHING]
    euro = sum(cores.values()) * EURO_A_CORE_HOUR * HOURS_A_MONTH, disk_gb * EURO_A_GB_MONTH
    yield [
        "euro a month",
        f"{sum(cores.values())} cores × {HOURS_A_MONTH} h × {EURO_A_CORE_HOUR} + {disk_gb:,.0f} GB × {EURO_A_GB_MONTH}",
        f"{euro[0]:,.0f} + {euro[1]:,.0f}",
    ]
