"""`sprat evaluate`: what a model keeps at the goal on labelled rows, beside another one, and its thresholds."""

import asyncio
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Literal

import typer

from sprat.base.errors import UserError
from sprat.base.settings import KafkaSettings, section_prefix
from sprat_cli.asked_tiers import DEFAULT_TENANT, egress_records, policy_for_masking
from sprat_cli.decision_report import decision_html, decision_lines
from sprat_cli.options import (
    Json,
    LabelColumn,
    TextColumn,
    argument,
    check_goal,
    kafka_settings,
    option,
    time_before_now,
)
from sprat_cli.progress import ProgressBar, read_progress
from sprat_cli.review_report import review_json, review_lines
from sprat_cli.terminal import remark, say, say_json
from sprat_operations.chosen_policy import chosen_policy, chosen_tasks, tasks_beside
from sprat_operations.connection import explain_kafka_errors
from sprat_operations.named_models import NamedModel, goal_of, named_model
from sprat_operations.review_draws import read_draws
from sprat_policy import TaskFiles
from sprat_training.datasets.columns import ColumnNames
from sprat_training.evaluation.cases import Asked, FileReading
from sprat_training.evaluation.decision import Goal
from sprat_training.evaluation.evaluate import Evaluation, measured_of, so_far
from sprat_training.evaluation.evaluate import evaluate as evaluate_model
from sprat_training.evaluation.frontier import ask_frontier, read_answers, write_answers
from sprat_training.evaluation.reviewed import Period, evaluate_reviews
from sprat_training.thresholds.wording import PARAGRAPH

EPILOG = f"""\b
Examples:
  sprat evaluate new.csv --model hr
  sprat evaluate drawn.csv --model hr --drawn traffic --goal 0.97 --write
  sprat evaluate new.csv --model hr-2 --against hr
  sprat evaluate new.csv --model hr --frontier tiers --policy policy.yaml --tenant acme
  sprat evaluate --from-reviews --model hr --period 30d..3d --write

\b
FILE has columns text and label (several labels: a|b), and may have `language`, else that is SPRAT_DEFAULT_LANGUAGE or
detected; names are JSON Lines with `entities`; translations have `translation` and `right` (yes or no), or `reference`.
Rows that a model was trained on are left out. --model is a folder, or a name as hr, intent/default or that of a task.
The goal is named before labels are read: the policy's, else the recommended one. Levels are `estimated` (on average)
and, with --write and for this goal, `certified`.

{PARAGRAPH}

\b
Corrections (rows with `given_at`, as feedback export writes) and rows with `escalated` never certify. Certified levels
need texts outside every label among the rows, or --no-outside-texts. Each attempt on a version spends a part of the
5 %, and a certificate that is looked at is one: they come with --write alone. With --against, rows choose between two
versions, too, and spend half as much. M is better where it keeps more right answers, or OTHER misses the goal and keeps
more wrong ones: by more than chance (exact McNemar test, 5 %). --write replaces thresholds.json beside the model; a
running service takes it over. A shipped model's go to thresholds/TASK.json beside the files of tasks, for
SPRAT_<SERVICE>__THRESHOLDS.

\b
--from-reviews reads no file, but how people found the answers that were kept and drawn in a period: all draws that had
the same chance. Name the period before you look at them. Unanswered, disputed and undecided ones count as wrong. Only
thresholds at or above the served one are certified; what is estimated stays. It needs the services' secret.

\b
Exit codes:
  0  done, whatever was found
  2  an option, a model or a file is wrong, or --write would lose a certificate"""


def evaluate(
    files: Annotated[list[Path] | None, argument("FILE...", "Rows with labels.")] = None,
    *,
    model: Annotated[str, option("M", "A folder, or the name of a model.")],
    from_reviews: Annotated[
        bool, typer.Option("--from-reviews", help="Certify from reviews of what was kept, in place of files.")
    ] = False,
    period: Annotated[
        str, typer.Option(metavar="FROM..TO", help="In which the reviews were drawn: so long ago to so long ago.")
    ] = "30d..3d",
    against: Annotated[str | None, option("OTHER", "Another version to compare it with.")] = None,
    goal: Annotated[float | None, option("SHARE", "Of kept answers right, as 0.97. [default: the policy's]")] = None,
    drawn: Annotated[
        Literal["traffic", "file"], typer.Option(help="Whether rows are a random share of what services got.")
    ] = "file",
    no_outside_texts: Annotated[
        bool, typer.Option("--no-outside-texts", help="State that no text is outside every label.")
    ] = False,
    write: Annotated[bool, typer.Option("--write", help="Replace the thresholds of M.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also where a certificate is lost.")] = False,
    frontier: Annotated[str | None, option("tiers|FILE", "Ask the policy's tiers, too, or read answers.")] = None,
    policy: Annotated[Path | None, option("FILE", "The policy. [SPRAT_POLICY]")] = None,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose rules hold for what is sent.")] = DEFAULT_TENANT,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    outside_label: Annotated[
        list[str] | None, option("LABEL", "Means: outside every label. [default: as trained]")
    ] = None,
    html: Annotated[Path | None, option("FILE", "Write the report here, too.")] = None,
    as_json: Json = False,
) -> None:
    """Measure what a model keeps at the goal on rows of yours, and compare it with another one."""
    _check_source(files, (against, frontier, html, outside_label, no_outside_texts), from_reviews=from_reviews)
    tasks = chosen_tasks() if policy is None else tasks_beside(policy)
    named = named_model(model, tasks)
    other = None if against is None else named_model(against, tasks).model
    asked = _goal(named, goal, policy)
    if from_reviews:
        _from_reviews(named, asked, kafka_settings(None, None), period, write=write, force=force, as_json=as_json)
        return
    if frontier == "tiers" and (policy := policy_for_masking(policy)) is None:
        raise UserError(
            "--frontier tiers sends texts to a provider: name the policy that allows it, with --policy FILE"
        )
    with ProgressBar() as bar:
        found = evaluate_model(
            files or [],
            named.model,
            asked,
            lambda done, total: bar.show("asking the model", done, total),
            against=other,
            reading=FileReading(ColumnNames(text_column, label_column), tuple(outside_label or ())),
            drawn=drawn,
            no_outside_texts=no_outside_texts,
            certify=write,
        )
        if frontier is not None:
            found = _with_frontier(found, frontier, chosen_policy(policy), tenant, tasks, bar)
    if html is not None:
        _write(html, decision_html(found.decision))
    if as_json:
        written = found.write(force=force) if write else None
        thresholds = found.thresholds.model_dump(mode="json")
        say_json(
            {
                "type": "evaluated",
                **found.decision.as_json,
                "thresholds": thresholds,
                "written": None if written is None else str(written),
            }
        )
        return
    for line in decision_lines(found.decision):
        say(line)
    if html is not None:
        say(f"{html}: the report")
    if write and found.thresholds is not found.before:
        _say_written(named, found.write(force=force))


def _check_source(files: list[Path] | None, of_files: Sequence[object], *, from_reviews: bool) -> None:
    """Check that rows come from files or from reviews.

    Args:
        files: given.
        of_files: options that go with files alone; empty where they are not given.
        from_reviews: whether reviews are asked for.

    Raises:
        UserError: both or none are given, or an option of the other one.
    """
    if from_reviews == bool(files):
        raise UserError("name the files with labelled rows, or --from-reviews: one of the two")
    if from_reviews and any(of_files):
        raise UserError("--from-reviews goes with --model, --goal, --policy, --period, --write and --force")


def _from_reviews(
    named: NamedModel,
    goal: Goal,
    kafka: KafkaSettings,
    period: str,
    *,
    write: bool,
    force: bool,
    as_json: bool,
) -> None:
    """Certify a model from the reviews of a period, and print what was found."""
    begin, _, end = period.partition("..")
    asked = Period(time_before_now(begin, "--period"), time_before_now(end or "0s", "--period"))
    with explain_kafka_errors(kafka), read_progress("reviews") as progress:
        draws = asyncio.run(read_draws(kafka, named.served.task, asked.since, progress=progress))
    found = evaluate_reviews(draws, named.model, goal, asked, certify=write, force=force)
    written = found.write() if write else None
    if as_json:
        say_json(review_json(found, None if written is None else str(written)))
        return
    for line in review_lines(found):
        say(line)
    if written is not None:
        _say_written(named, written)


def _goal(named: NamedModel, given: float | None, policy: Path | None) -> Goal:
    """Return what is asked of the kept answers.

    Raises:
        UserError: the goal given is none, or the policy cannot be read.
    """
    check_goal(given)
    of = measured_of(named.model)
    before, _ = so_far(named.model.thresholds_now, of)
    recommended = of.recommended_goal if before is None else before.recommended_goal
    found = goal_of(named.served, recommended, policy)
    return found if given is None else replace(found, accuracy=given, keep_at=None)


def _with_frontier(
    found: Evaluation, frontier: str, policy: Path | None, tenant: str, tasks: TaskFiles, bar: ProgressBar
) -> Evaluation:
    """Return the evaluation with what the routing to a large model gives."""
    if frontier != "tiers" or policy is None:
        return found.routed(read_answers(Path(frontier), found.cases))
    model = found.model
    with egress_records() as broker:
        answers = ask_frontier(
            found.cases,
            Asked.of(model.task, model.card),
            policy,
            tenant,
            broker,
            tasks,
            lambda done, total: bar.show("asking the frontier", done, total),
        )
    file = found.cases.texts.path
    saved = file.with_name(f"{file.stem}-frontier.jsonl")
    write_answers(saved, found.cases, answers)
    remark(f"{saved}: the answers, for --frontier {shlex.quote(str(saved))}: they need not be paid for again")
    return found.routed(answers)


def _write(path: Path, content: str) -> None:
    try:
        path.write_text(content, encoding="utf-8")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror}") from None


def _say_written(named: NamedModel, path: Path) -> None:
    if named.is_shipped:
        say(f"{path}: written; a service reads it where {section_prefix(named.model.task)}THRESHOLDS names it")
    else:
        say(f"{path}: written; a running service takes it over")
