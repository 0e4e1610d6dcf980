"""Training on labels of one's own and the guarantee, as Markdown."""

from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean
from typing import Final

from tests.bench.table import NOTHING, Figures, lines, parts, percent, table

TRAINED: Final = {
    "banking77": "BANKING77",
    "clinc150": "CLINC150, all",
    "bitext": "bitext support, a fifth held out",
}
PUBLISHED: Final = {
    "banking77": "frozen sentence encoder + logistic regression 84.9–86.2; BERT 93.66",
    "clinc150": "BERT 96.2, under a threshold that also rejects texts",
}
WRONG: Final = {
    "likely wrong": "any other label",
    "likely wrong, shifted": "shifted by a line, blocks of 50 rows",
    "likely wrong, confused": "that of the nearest text with another label",
}
METHODS: Final = {
    "certified": "`certified`",
    "estimated": "`estimated`",
    "wilson_scan": "Wilson scan",
    "split_conformal": "split conformal",
}


CHOSEN_ON: Final = "CLINC150 (the rule's)"
"""The domains on which the rule for texts outside was chosen: their figures say little, and are left out."""


def training(figures: Figures) -> str:
    """Return how good training is on open labels, and what it finds of labels that were made wrong."""
    columns = {
        "data": "{what}",
        "trained on": "{texts:,}",
        "right on the test, % (95 % interval)": "{accuracy[0]:%} ({accuracy[1]:%}–{accuracy[2]:%})",
        "kept, %": "{kept_share:%}",
        "right of kept, %": "{kept_right:%}",
        "published": "{published}",
    }
    rows = [{"what": what, "published": PUBLISHED.get(of), **figures[of]} for of, what in TRAINED.items()]
    for count in (10, 5):
        draws = [figures[f"clinc150, {count} a label, {draw}"] for draw in range(3)]
        means = {name: fmean(one[name] for one in draws) for name in ("kept_share", "kept_right")}
        right = [
            fmean(one["accuracy"][0] for one in draws),
            *(end(one["accuracy"][0] for one in draws) for end in (min, max)),
        ]
        what = f"CLINC150, {count} texts per label, mean (range) of three draws"
        rows.append({"what": what, "texts": draws[0]["texts"], "accuracy": right, "published": None, **means})
    wrong = {
        "BANKING77, 5 % of the labels made wrong": "{what}",
        "rows": "{planted:,}",
        "listed as doubted, %": "{recall:%}",
        "wrong of those listed, %": "{precision:%}",
        "kept on the test, %": "{kept_share:%}",
        "kept with `--drop-suspects`, %": "{cleaned_kept_share:%}",
        "right of kept with it, %": "{cleaned_kept_right:%}",
    }
    return parts(table(columns, rows), table(wrong, ({"what": what, **figures[of]} for of, what in WRONG.items())))


def encoders(figures: Figures) -> str:
    """Return one row for each set and encoder; CPU is that of e5 on the same set times so much."""
    head = [
        "data; texts with a label, outside",
        "encoder",
        "best label right, %",
        "kept of texts with a label, %",
        "right of all kept, %",
        "kept with a label of texts outside, %",
        "models of ten labels: kept of texts with these, of near ones, % (least–most of the draws)",
        "AURC, ‰",
        "CPU",
        "CPU of a kept text",
    ]
    return lines(head, (line for of, models in figures.items() for line in _encoders_of(of, models)))


def _encoders_of(name: str, models: Figures) -> Iterator[list[str]]:
    e5 = models["e5"]
    for encoder, one in models.items():
        yield [
            f"{name}; {one['texts']:,}, {one['outside']:,}",
            encoder,
            *(_interval(one[of]) for of in ("right", "kept", "kept_right")),
            _interval(one["outside_kept"]) if one["outside_kept"] else NOTHING,
            f"{percent(one['near_kept_inside'])}, {_interval(one['near_kept'])}" if "near_kept" in one else NOTHING,
            _interval([10 * share for share in one["aurc"]]),
            f"{one['cpu_s'] / e5['cpu_s']:.2f}",
            f"{one['cpu_s_of_kept'] / e5['cpu_s_of_kept']:.2f}",
        ]


def _interval(ends: Sequence[float]) -> str:
    value, low, high = map(percent, ends)
    return f"{value} ({low}–{high})"


def near_outside(figures: Figures) -> str:
    """Return one row for each set and number of labels; a cell has one figure for each number of texts a label."""
    rows: dict[tuple[str, int], list[Figures]] = {}
    for name, one in figures.items():
        of, labels, _ = name.split(", ")
        if of == CHOSEN_ON:
            continue
        rows.setdefault((of, int(labels.split()[0])), []).append(one)
    head = [
        "data, labels",
        "draws",
        "kept of texts with a label, %",
        "of near texts, % (least–most)",
        "of hidden labels' texts, % (least–most of the parts)",
        "of far texts, %",
    ]
    head += ["right of all kept, a tenth near, % (worst draw)", "right of all kept, a tenth far, %"]
    return lines(
        head,
        (
            [
                f"{of}, {labels}",
                f"{each[0]['draws']}",
                ", ".join(f"{100 * one['kept_inside']:.0f}" for one in each),
                *(", ".join(_ranged(one, of) for one in each) for of in ("near_kept", "hidden_kept")),
                ", ".join(f"{100 * one['far_kept']:.0f}" for one in each),
                ", ".join(
                    f"{percent(one['right_with_near'])} ({percent(one['right_with_near_least'])})" for one in each
                ),
                ", ".join(percent(one["right_with_far"]) for one in each),
            ]
            for (of, labels), each in rows.items()
        ),
    )


def near_quoted(figures: Figures) -> dict[str, str]:
    """Return what is kept of near texts, and in how many trainings that is more than of any part of hidden labels."""
    of_labels: dict[str, list[Figures]] = {}
    for name, one in figures.items():
        of, labels, _ = name.split(", ")
        if of != CHOSEN_ON:
            of_labels.setdefault(labels, []).append(one)
    ranges, counts = [], []
    for labels, each in of_labels.items():
        least, most = min(one["near_kept_least"] for one in each), max(one["near_kept_most"] for one in each)
        ranges.append(f"{100 * least:.0f} to {100 * most:.0f} % with {labels}")
        counts.append((sum(one["near_kept_above_hidden"] for one in each), sum(one["draws"] for one in each)))
    above, trainings = map(sum, zip(*counts, strict=True))
    shown = ", ".join(f"{some} of {all_} with {labels}" for labels, (some, all_) in zip(of_labels, counts, strict=True))
    return {
        "near-kept": ", ".join(ranges),
        "near-above-hidden": f"{above} of {trainings} trainings",
        "near-above-hidden-by-labels": shown,
    }


def _ranged(figures: Figures, of: str) -> str:
    share, least, most = (100 * figures[f"{of}{end}"] for end in ("", "_least", "_most"))
    return f"{share:.0f} ({least:.0f}–{most:.0f})"


def guarantee(figures: Figures) -> str:
    """Return what each way of choosing a threshold claims, and whether the claim holds."""
    head = ["drawn from", "goal", "possible to keep", "certified at all in", *METHODS.values()]
    rows = (
        [name, f"{100 * one['goal']:.0f}", percent(one["oracle_kept"]), percent(one["certified"]["claimed"])]
        + ["; ".join(_judged(method, one[method])) for method in METHODS]
        for name, one in figures.items()
    )
    return parts(lines(head, rows), "![how often a claim fails, and how much is kept](../images/guarantee.png)")


def _judged(method: str, figures: Mapping[str, float | None]) -> Iterator[str]:
    violated, low, high = (percent(figures[f"violated{end}"]) for end in ("", "_low", "_high"))
    yield f"{violated} ({low}–{high})" if method == "certified" else violated
    yield percent(figures["kept"])
    if method == "estimated":
        yield percent(figures["right"])
