"""`sprat assess`: small model, frontier, and the router between them, on texts of one's own."""

from pathlib import Path
from typing import Annotated, Any

import typer

from sprat.errors import UserError
from sprat_cli.assess.answers import (
    DEFAULT_TENANT,
    UNKNOWN_PRICE,
    Frontier,
    frontier_answers,
    load_small,
    observed,
    small_answers,
)
from sprat_cli.assess.policy_file import Written, check_meant, write_keep_at
from sprat_cli.connection import Bootstrap, Json, Prefix
from sprat_cli.options import LabelColumn, TextColumn
from sprat_cli.terminal import faint, paint, printable, remark, say, say_json, table
from sprat_policy import check_model_name, load_policy
from sprat_training.datasets.columns import Wanted
from sprat_training.datasets.reading import read_labelled
from sprat_training.datasets.rows import Labelled
from sprat_training.evaluation.report import report, rows, sentence
from sprat_training.evaluation.strategies import Assessment
from sprat_training.evaluation.strategies import assess as computed
from sprat_training.evaluation.thresholds import (
    UNKNOWN_COSTS,
    ThresholdChoice,
    for_accuracy,
    parse_budget,
    within_budget,
)

EPILOG = """\b
Examples:
  sprat assess hr-test.csv --model hr --frontier-answers mistral.jsonl --accuracy 0.97
  sprat assess hr-test.csv --model hr --frontier http://127.0.0.1:11434/v1 --frontier-model qwen3 \
    --frontier-region local --policy policy.yaml --tenant acme --save-answers a.jsonl
  sprat assess hr-test.csv --model hr --frontier-accuracy 0.98 --frontier-eur 0.0004 --budget 20EUR/1M
  sprat assess hr-test.csv --model hr --frontier-answers a.jsonl --accuracy 0.97 --policy policy.yaml --write --as hr

\b
FILE holds texts with their right labels that the model was not trained on. What the frontier says of them stands in
a file like it, with what each answer cost as cost_eur, or is asked now; or you say how often it is right. Texts are
drawn anew a thousand times for the intervals. The report goes to FILE-assessment.html, or to --output. --write changes
the keep_at of the model that texts ask for by the name behind --as; only for the shipped model it may be left out.

\b
--frontier takes the same path as the frontier service: it needs --policy, and sends a text only as the rules of
--tenant allow, to a region that they name, always masked, also by the policy's own terms and patterns. A text that
cannot be masked is not sent. With a broker (--bootstrap or SPRAT_KAFKA__BOOTSTRAP) and SPRAT_SECRET, each call has its
egress records on Kafka, the first before anything is sent; without a broker there are none. The key is
SPRAT_FRONTIER__API_KEY.

\b
Exit codes:
  0  done
  2  a mistake of yours, something in a file, or no keep_at gives what was asked for"""

_SHOWN = tuple(step / 10 for step in range(11))


def assess(
    file: Annotated[Path, typer.Argument(metavar="FILE", show_default=False, help="Texts with labels.")],
    *,
    model: Annotated[Path, typer.Option(metavar="DIR", show_default=False, help="The artefact of an intent model.")],
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    outside_label: Annotated[
        str, typer.Option(metavar="LABEL", help="Stands for `outside every label` in FILE and in answers.")
    ] = "oos",
    language: Annotated[str, typer.Option(metavar="TAG", help="Of the texts, BCP 47.")] = "en",
    answers: Annotated[
        Path | None,
        typer.Option(
            "--frontier-answers", metavar="FILE", show_default=False, help="The frontier's labels, a file like it."
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--frontier", metavar="URL", show_default=False, help="Ask an OpenAI-compatible API now; needs --policy."
        ),
    ] = None,
    frontier_model: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="Which model to ask there.")
    ] = None,
    frontier_region: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Where that API is, as the policy names regions."),
    ] = None,
    frontier_price: Annotated[
        str, typer.Option(metavar="IN/OUT", help="Its price, euros for a million tokens in and out.")
    ] = UNKNOWN_PRICE,
    save_answers: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", show_default=False, help="Keep what the frontier answered.")
    ] = None,
    frontier_accuracy: Annotated[
        float | None, typer.Option(min=0, max=1, show_default=False, help="Assumed, where nobody is asked.")
    ] = None,
    frontier_eur: Annotated[
        float, typer.Option(min=0, help="Of one answer, where the file of answers does not say.")
    ] = 0.0,
    accuracy: Annotated[
        float | None,
        typer.Option(min=0, max=1, show_default=False, help="Find the cheapest keep_at that is right so often."),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="20EUR/1M", show_default=False, help="Find the best keep_at that costs so little."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default=False, help="Your policy: what may leave, and what happens to outside texts."
        ),
    ] = None,
    tenant: Annotated[
        str, typer.Option(metavar="NAME", help="Whose rules of the policy hold for --frontier.")
    ] = DEFAULT_TENANT,
    write: Annotated[bool, typer.Option("--write", help="Write the keep_at that was found into --policy.")] = False,
    name: Annotated[
        str | None,
        typer.Option("--as", metavar="NAME", show_default=False, help="Write it for the model that texts ask for so."),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.html", show_default=False, help="The report. [default: beside FILE]")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads that run the model.")] = 2,
    as_json: Json = False,
    bootstrap: Bootstrap = None,
    prefix: Prefix = None,
) -> None:
    """Say what a model, a frontier model and the router between them would do on texts of your own."""
    if accuracy is not None and budget is not None:
        raise UserError("--accuracy and --budget: it is one or the other")
    if write and (policy is None or (accuracy is None and budget is None)):
        raise UserError("--write needs --policy FILE, and --accuracy or --budget to choose by")
    if name is not None:
        _check(name)
    wanted_eur = None if budget is None else parse_budget(budget)
    columns = Wanted(text_column, label_column)
    frontier = Frontier(
        answers,
        url,
        frontier_model,
        frontier_price,
        frontier_accuracy,
        frontier_eur,
        save_answers,
        columns,
        frontier_region,
        policy,
        tenant,
        bootstrap,
        prefix,
    )
    frontier.check(budget=budget is not None)
    escalates = policy is not None and _escalates(policy, name)
    data = read_labelled(file, columns)
    loaded = load_small(model, threads)
    if write and policy and name is None:
        check_meant(policy, loaded.card.name)
    small = small_answers(loaded, data, language, outside_label)
    large = frontier_answers(frontier, data, small.labels, language, outside_label)
    seen = observed(data, small, large, outside_label, escalates=escalates)
    assessment = computed(seen)
    page = output or file.with_name(f"{file.stem}-assessment.html")
    said = [f"{len(data):,} texts of {file.name}", f"model: {small.name}, version {small.version}", large.told]
    if not assessment.costs_known:
        said.append(UNKNOWN_COSTS + ("" if accuracy is None else ": the share escalated decides"))
    choice: ThresholdChoice | None = None
    try:
        choice = _choice(assessment, accuracy, wanted_eur)
    finally:
        _write(page, report(assessment, f"Assessment of {small.name} on {file.name}", said, choice))
    written = write_keep_at(policy, choice.routed.keep_at, name) if write and policy and choice else None
    if as_json:
        say_json(_as_json(assessment, choice, page, written))
        return
    _tell(assessment, choice, data, said, page)
    if written:
        say(str(written))


def _check(name: str) -> None:
    try:
        check_model_name(name)
    except UserError as error:
        raise UserError(f"--as {error}") from None


def _escalates(policy: Path, name: str | None) -> bool:
    held = load_policy(policy).tasks.intent
    return (held if name is None else held.of(name)).out_of_scope == "escalate"


def _choice(assessment: Assessment, accuracy: float | None, budget: float | None) -> ThresholdChoice | None:
    if accuracy is not None:
        return for_accuracy(assessment, accuracy)
    return None if budget is None else within_budget(assessment, budget)


def _write(page: Path, html: str) -> None:
    try:
        page.write_text(html, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{page}: cannot be written: {error.strerror}") from None


def _tell(assessment: Assessment, choice: ThresholdChoice | None, data: Labelled, said: list[str], page: Path) -> None:
    for line in said:
        say(printable(line))
    head = ("", "ESCALATED", "RIGHT (95 % INTERVAL)", "EUR FOR A MILLION", "AT RANDOM")
    shown = sorted({*_SHOWN, *([choice.routed.keep_at] if choice else [])})
    cells = [
        head,
        *(
            (name, f"{each.escalated:.1%}", str(each.accuracy), f"{each.eur_per_million.value:.2f}", "")
            for name, each in (("small alone", assessment.small), ("frontier alone", assessment.frontier))
        ),
        *rows([assessment.at(at) for at in shown]),
    ]
    say("")
    first, *rest = table(cells)
    say(faint(first))
    for line in rest:
        say(line)
    say("")
    if choice is not None:
        say(paint(sentence(choice), "green"))
        if choice.sure is None and len(data) < 2_000:
            remark(f"with {len(data):,} texts the interval is wide; more texts narrow it")
    say(f"{page}: the report")


def _as_json(
    assessment: Assessment, choice: ThresholdChoice | None, page: Path, written: Written | None
) -> dict[str, Any]:
    def told(outcome: Any) -> dict[str, Any]:
        return {
            "escalated": round(outcome.escalated, 4),
            "accuracy": [
                round(each, 4) for each in (outcome.accuracy.value, outcome.accuracy.low, outcome.accuracy.high)
            ],
            "eur_per_million": [
                round(each, 2)
                for each in (outcome.eur_per_million.value, outcome.eur_per_million.low, outcome.eur_per_million.high)
            ],
        }

    return {
        "type": "assessed",
        "texts": assessment.texts,
        "costs_known": assessment.costs_known,
        "small": told(assessment.small),
        "frontier": told(assessment.frontier),
        "routed": [
            {"keep_at": each.keep_at, **told(each.outcome), "random_accuracy": round(each.random_accuracy, 4)}
            for each in assessment.routed
        ],
        "keep_at": choice.routed.keep_at if choice else None,
        "sure_keep_at": choice.sure.keep_at if choice and choice.sure else None,
        "report": str(page),
        "written": None if written is None else written.as_json,
    }
