"""The latency budget and the comparison with peers, as Markdown for the page of benchmarks."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import median
from typing import Any, Final

from sprat_local.bench.resources import OURS

Figures = Mapping[str, Any]

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
MASKED: Final = {**DATA, "presidio-research": "presidio-research"}
BARE: Final = {
    "ctranslate2-1": "CTranslate2 int8, one by one",
    "ctranslate2-32": "CTranslate2 int8, batches of 32",
    "sprat-en-fast": "Sprat's `en-fast`, with calibration",
    "sprat-default": "Sprat's `default`, with calibration",
    "onnx-int8-1": "ONNX Runtime int8, one by one",
    "onnx-int8-32": "ONNX Runtime int8, batches of 32",
    "torch-1": "torch float32, one by one",
    "torch-32": "torch float32, batches of 32",
    "torch-int8-1": "torch dynamic int8, one by one",
    "torch-int8-32": "torch dynamic int8, batches of 32",
}
RUNTIMES: Final = {
    f"{runtime}-{numbers}-{batch}": f"{title} {numbers}, {how}"
    for runtime, title in (("ctranslate2", "CTranslate2"), ("onnx", "ONNX Runtime"))
    for numbers in ("int8", "float32")
    for batch, how in (("1", "one by one"), ("32", "batches of 32"))
}
OWN: Final = "sprat-en-fast"
"""Sprat with the encoder that the peers have."""
SERVICE: Final = "intent"
QUIET_CORES: Final = 0.3
"""Where other programs used more, no latency is stated."""


def latency(figures: Figures) -> str:
    """Return the stages by load."""
    loads = figures["loads"]
    shares = [f"{100 * load['share']:.0f} %" for load in loads]
    rows = [
        [f"**{name}** ({STAGES[name]})", *(_two(load["stages_ms"][name]) for load in loads)]
        for name in loads[0]["stages_ms"]
    ]
    rows += [
        ["from due to received, with traces", *(_two(load["traced_end_to_end_ms"]) for load in loads)],
        ["**from due to received, without traces**", *(_two(load["end_to_end_ms"]) for load in loads)],
    ]
    counts = ", ".join(f"{load['texts']:,} at {share}" for share, load in zip(shares, loads, strict=True))
    commits = figures["commit_ms"]
    about = (
        "CLINC150's test texts, one intent each, the shipped `default`, whose head was trained on CLINC150's training "
        f"part. Saturation {figures['saturation_per_s']:,.0f} texts/s; texts: {counts}. {_machine(figures['machine'])} "
        f"Other programs used {figures['others_cores']:.1f} of its cores meanwhile."
    )
    commit = (
        f"A commit takes {_two(commits['service'])} ms in the service and {_two(commits['router'])} ms in the router. "
        "It is not on the way of its own texts, only on that of later ones."
    )
    head = ["milliseconds, p50 / p99", *(f"{share} of saturation" for share in shares)]
    picture = "![the way of a text through its stages](images/latency.png)"
    return "\n\n".join((about, picture, _table(head, rows), commit, _cost_of_a_text(figures)))


def _cost_of_a_text(figures: Figures) -> str:
    """Return the CPU of each process by load, and how many cores that is."""
    loads = figures["loads"]
    costs = [figures["backlog_cpu_ms_per_text"], *(load["cpu_ms_per_text"] for load in loads)]
    rates = [figures["saturation_per_s"], *(load["per_s"] for load in loads)]
    rows = [[name, *(f"{cost[part]:.1f}" for cost in costs)] for part, name in PARTS.items()]
    together = [sum(cost[part] for part in PARTS) for cost in costs]
    rows.append(["together", *(f"{each:.1f}" for each in together)])
    cores = [each * rate / 1000 for each, rate in zip(together, rates, strict=True)]
    rows.append(["**cores in use**", *(f"{each:.2f}" for each in cores)])
    shares = [f"{100 * load['share']:.0f} % of saturation" for load in loads]
    return _table(["CPU, milliseconds per text", "backlog", *shares], rows)


def peers(figures: Figures) -> dict[str, str]:
    """Return every part of the comparison, by its name."""
    return {
        "peers": _systems(figures),
        "peers-bare": _bare(figures),
        "peers-killed": _crashes(figures),
        "peers-masking": _masking(figures),
    }


def _systems(figures: Figures) -> str:
    head = ["system", "texts per CPU second", "the same of all its processes and Kafka"]
    head += ["p50 / p99 at half of its saturation, ms, at so many texts/s", "peak memory, MB", "start to first answer"]
    sets = list(figures["texts"])
    rows = [
        [
            system["title"],
            ", ".join(f"{1000 / _own_cpu(system, of):,.0f}" for of in sets),
            ", ".join(f"{1000 / _all_cpu(system, of):,.0f}" for of in sets),
            ", ".join(_half(system[of]) for of in sets),
            f"{system['memory_mb'][SERVICE]:,.0f}",
            f"{system['first_answer_s']:.1f} s" if is_quiet(system[sets[0]]) else "–",
        ]
        for system in figures["systems"].values()
    ]
    return "\n\n".join(
        (
            _data(figures),
            "![Sprat beside its peers](images/peers.png)",
            _table(head, rows),
            "\n".join(f"- {line}" for line in (*_whole(figures), *_unstated(figures))),
        )
    )


def _unstated(figures: Figures) -> Iterator[str]:
    """Yield why times are missing."""
    if not all(is_quiet(system[of]) for system in figures["systems"].values() for of in figures["texts"]):
        yield f"Times are stated only where other programs used at most {QUIET_CORES} cores."


def _data(figures: Figures) -> str:
    texts = ", ".join(
        f"{DATA[name]} ({count:,} test texts of {figures['words'][name]:.1f} words)"
        for name, count in figures["texts"].items()
    )
    busy = [system[of]["others_cores"] for system in figures["systems"].values() for of in figures["texts"]]
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    return (
        f"Where two figures stand, the first is for {texts.replace('), ', '), the second for ')}. "
        f"{_machine(figures['machine'])} Other programs used {min(busy):.1f} to {max(busy):.1f} of its "
        f"cores meanwhile. Commit {figures['commit']}, {figures['date']}. Versions: {versions}."
    )


def _whole(figures: Figures) -> Iterator[str]:
    """Yield what a row of Sprat leaves out: its other processes, and the comparison in numbers."""
    sets, own = list(figures["texts"]), figures["systems"][OWN]
    others = [name for name in own["memory_mb"] if name != SERVICE]
    listed = []
    for name in others:
        cpu = ", ".join(f"{own[of]['cpu_s_per_1000'][name]:.2f}" for of in sets)
        listed.append(f"{name} {cpu} ({own['memory_mb'][name]:,.0f} MB)")
    yield (
        "The first column counts the process with the model. Sprat has others, which do what no peer does (the "
        f"contract, decisions, a cache): CPU seconds per 1,000 texts with `en-fast`: {'; '.join(listed)}."
    )
    peers = [system for name, system in figures["systems"].items() if not name.startswith("sprat")]
    for of in sets:
        for what, needed in (("its service", _own_cpu), ("all its processes and Kafka", _all_cpu)):
            ours = needed(own, of)
            times = {each["title"]: ours / needed(each, of) for each in peers}
            ahead = [f"{title} ({ratio:.2f} times)" for title, ratio in times.items() if ratio > 1]
            yield f"{DATA[of]}, `en-fast` with its lexical stage, {what}: " + (
                f"more CPU than {'; '.join(ahead)}." if ahead else "no peer needs less CPU."
            )


def _bare(figures: Figures) -> str:
    """Return the runtimes without Kafka."""
    rows = []
    for name, title in BARE.items():
        if name not in figures["bare"]:
            continue
        by_set = [figures["bare"][name][of] for of in figures["texts"]]
        same = [f"{100 * each['same_label_as_float32']:.1f}" for each in by_set if "same_label_as_float32" in each]
        cpu = ", ".join(f"{each['cpu_s_per_1000']:.2f}" for each in by_set)
        rows.append([title, cpu, ", ".join(same) or "–"])
    return _table(["without Kafka", "CPU s per 1,000 texts", "same label as torch float32, %"], rows)


def runtimes(figures: Figures) -> str:
    """Return CPU, memory and agreement of each runtime."""
    sets = list(figures["texts"])
    rows = []
    for name, title in RUNTIMES.items():
        each = [figures["runtimes"][name][of] for of in sets]
        rows.append(
            [
                title,
                ", ".join(f"{one['cpu_s_per_1000']:.2f}" for one in each),
                f"{max(one['memory_mb'] for one in each):,.0f}",
                ", ".join(f"{100 * one['same_label_as_original']:.1f}" for one in each),
            ]
        )
    texts = " and ".join(f"{count:,} test texts of {DATA[of]}" for of, count in figures["texts"].items())
    machine = figures["machine"]
    versions = ", ".join(f"{name} {version}" for name, version in figures["versions"].items())
    about = (
        f"{texts}, in this order where two figures stand; CPU is the median of {figures['rounds']} rounds, in turns. "
        f"Machine: {machine['cores']} cores of {machine['cpu']}, load before {machine['load_before']}. "
        f"Commit {figures['commit']}, {figures['date']}. Versions: {versions}."
    )
    head = ["runtime", "CPU s per 1,000 texts", "peak memory of the process, MB", "same label as the original, %"]
    return f"{about}\n\n{_table(head, rows)}"


def _crashes(figures: Figures) -> str:
    """Return what a SIGKILL loses and doubles."""
    rows = []
    for each in figures["crashes"].values():
        rounds = each["rounds"]
        rows.append(
            [
                each["title"],
                f"{sum(one['texts'] for one in rounds):,}, {len(rounds)} {'kill' if len(rounds) == 1 else 'kills'}",
                f"{sum(one['lost'] for one in rounds)}",
                f"{sum(one['doubled'] for one in rounds)}",
                f"{median(one['silent_s'] for one in rounds):.1f} s",
            ]
        )
    head = ["one SIGKILL in the middle of each run", "texts", "lost", "answered twice", "longest silence, median"]
    return _table(head, rows)


def _masking(figures: Figures) -> str:
    """Return masking and names beside Presidio and spaCy."""
    systems = {
        "sprat masking": "masking: Sprat",
        "presidio": "masking: Presidio",
        "sprat names": "names: Sprat",
        "spacy names": "names: spaCy `en_core_web_sm`",
    }
    sets = {name: each for name, each in figures["masking"].items() if name in MASKED}
    head = [
        "CPU s per 1,000 texts",
        *(f"{MASKED[name]}, {each['texts']:,}" for name, each in sets.items()),
    ]
    rows = [
        [title, *(f"{each['cpu_s_per_1000'][system]:.2f}" for each in sets.values())]
        for system, title in systems.items()
    ]
    return _table(head, rows)


def _own_cpu(system: Figures, name: str) -> float:
    return float(system[name]["cpu_s_per_1000"][SERVICE])


def is_quiet(figures: Figures) -> bool:
    """Return whether a latency says something of the system rather than of the other programs of the machine."""
    return bool(figures["others_cores"] <= QUIET_CORES)


def _all_cpu(system: Figures, of: str) -> float:
    """Return CPU seconds per 1,000 texts of all processes of a system, and of Kafka."""
    return float(sum(system[of]["cpu_s_per_1000"].values()) + system[of]["broker_cpu_s_per_1000"])


def _half(figures: Figures) -> str:
    load = figures["half_load"]
    times = f"{1000 * load['p50']:,.0f} / {1000 * load['p99']:,.0f} at {load['per_s']:,.0f}"
    return times if is_quiet(figures) else "–"


def _two(quantiles: Mapping[str, float]) -> str:
    return f"{quantiles['p50']:.1f} / {quantiles['p99']:.1f}"


def _machine(machine: Figures) -> str:
    return (
        f"Machine: {machine['cores']} cores of {machine['cpu']}, {machine['memory_gb']} GB, Python "
        f"{machine['python']}, Kafka {machine['kafka']}, with broker and client; load before {machine['load_before']}."
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in (head, ["---"] * len(head), *rows))
