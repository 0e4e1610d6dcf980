"""What a service needs per text, as Markdown: CPU and memory of processes, bytes of topics, and of Redis."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Figures = Mapping[str, Any]

SERVERS: Final = ("kafka", "redis")
TEXTS_A_DAY: Final = 1_000_000


def markdown(figures: Figures) -> dict[str, str]:
    """Return every part, by its name."""
    parts = {"sizing-data": _data, "sizing-cpu": _cpu, "sizing-memory": _memory, "sizing-bytes": _bytes}
    return {name: "\n".join(part(figures)) for name, part in parts.items()}


def _data(figures: Figures) -> Iterator[str]:
    machine = figures["machine"]
    texts = "; ".join(f"{row['texts']:,} {row['kind']}" for row in figures["rows"])
    lengths = [row["characters"] for row in figures["rows"]]
    most = max(row["others_cores"] for row in figures["rows"])
    yield (
        f"Data: the demo's English texts, numbered so that each is different ({texts}), {min(lengths)} to "
        f"{max(lengths)} characters on average. Machine: {machine['cores']} cores of {machine['cpu']}, "
        f"{machine['memory_gb']} GB, Python {machine['python']}, Kafka {machine['kafka']}; other programs used up to "
        f"{most} cores meanwhile."
    )


def _cpu(figures: Figures) -> Iterator[str]:
    yield (
        "| texts | answered by the small model | service | per second and core | CPU seconds per 1,000: service "
        "| router | Kafka | Redis |"
    )
    yield "| --- | --- | --- | --- | --- | --- | --- | --- |"
    for row in figures["rows"]:
        cpu = row["cpu_s_per_1000"]
        own = cpu[row["service"]]
        others = " | ".join(f"{cpu[name]:.2f}" for name in ("router", *SERVERS))
        small = f"{100 * row['ends'].get('small', 0) / row['texts']:.0f} %"
        yield f"| {row['kind']} | {small} | `{row['service']}` | {1000 / own:,.0f} | {own:.2f} | {others} |"


def _memory(figures: Figures) -> Iterator[str]:
    yield "| process | peak of resident memory |"
    yield "| --- | --- |"
    for name, peak in sorted(figures["memory_peak_mb"].items(), key=lambda each: -each[1]):
        yield f"| `{name}` | {peak} MB |"


def _bytes(figures: Figures) -> Iterator[str]:
    days = figures["retention_days"]
    yield f"| texts | topic | bytes per text | kept for | GB at {TEXTS_A_DAY:,} of these a day |"
    yield "| --- | --- | --- | --- | --- |"
    for row in figures["rows"]:
        total = 0.0
        for topic, size in row["bytes_per_text"].items():
            if not size or topic not in days:
                continue
            kept = size * days[topic] * TEXTS_A_DAY / 1e9
            total += kept
            yield f"| {row['kind']} | `{topic}` | {size:,} | {days[topic]:.0f} d | {kept:,.1f} |"
        redis = row["redis"]
        each = redis["bytes"] / redis["keys"] if redis["keys"] else 0
        yield f"| {row['kind']} | **all topics** | | | **{total:,.1f}** |"
        yield f"| {row['kind']} | Redis | {each * redis['keys'] / row['texts']:,.0f} | until evicted | |"
