"""`sprat tiers`: measure from which probability on a tier's labels are kept."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from sprat.base.errors import UserError
from sprat_cli.app import group_help, make_app
from sprat_cli.asked_tiers import DEFAULT_TENANT, egress_records, policy_for_masking
from sprat_cli.decision_report import decision_lines
from sprat_cli.options import Json, LabelColumn, TextColumn, argument, check_goal, option
from sprat_cli.progress import ProgressBar
from sprat_cli.terminal import say, say_json
from sprat_operations.chosen_policy import tasks_beside
from sprat_operations.named_models import named_model
from sprat_policy import TaskFiles, load_policy
from sprat_training.datasets.columns import ColumnNames
from sprat_training.evaluation.cases import Asked, FileReading
from sprat_training.evaluation.tiers import evaluate_tier
from sprat_training.thresholds.wording import PARAGRAPH

_CALIBRATE = f"""\b
Examples:
  sprat tiers calibrate hard.csv --tier local --task intent --policy policy.yaml --tenant acme
  sprat tiers calibrate hard.csv --tier local --task desk --goal 0.95 --drawn traffic

\b
FILE has columns text and label (several labels: a|b), and may have `language`. The tier is asked about every row, on
the path of the frontier service: by the rules of --tenant, masked, with egress records where SPRAT_KAFKA__BOOTSTRAP and
SPRAT_SECRET are set. thresholds/TIER.TASK.json beside the policy says then from which probability on its labels are how
often right. It holds for this model and these labels. Give the tier a `goal` in the policy, and it is bound by it.

{PARAGRAPH}

\b
Exit codes:
  0  written
  2  an option or a file is wrong, the tier gives no probabilities, or a certificate would be lost"""

app = make_app(
    no_args_is_help=True,
    help="Measure the tiers of a policy.",
    epilog=group_help("tiers", "calibrate hard.csv --tier local --task intent"),
)


@app.callback()
def _tiers() -> None:
    """Measure the tiers of a policy."""


@app.command("calibrate", epilog=_CALIBRATE)
def calibrate(
    files: Annotated[list[Path], argument("FILE...", "Rows with labels.")],
    *,
    tier: Annotated[str, option("NAME", "Of the policy.")],
    task: Annotated[str, typer.Option(metavar="TASK", help="What it is asked.")] = "intent",
    model: Annotated[str | None, option("M", "Whose labels it chooses from. [default: the task's]")] = None,
    goal: Annotated[float | None, option("SHARE", "Of kept labels right, as 0.97. [default: the tier's]")] = None,
    drawn: Annotated[
        Literal["traffic", "file"], typer.Option(help="Whether rows are a random share of what the tier got.")
    ] = "file",
    no_outside_texts: Annotated[
        bool, typer.Option("--no-outside-texts", help="State that no text is outside every label.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Also where a certificate is lost.")] = False,
    policy: Annotated[Path | None, option("FILE", "That has the tier. [SPRAT_POLICY]")] = None,
    tenant: Annotated[str, typer.Option(metavar="NAME", help="Whose rules hold for what is sent.")] = DEFAULT_TENANT,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    outside_label: Annotated[list[str] | None, option("LABEL", "Means: outside every label. [default: oos]")] = None,
    as_json: Json = False,
) -> None:
    """Ask a tier about rows of yours, and write from which probability on its labels are how often right."""
    if (policy := policy_for_masking(policy)) is None:
        raise UserError("name the policy that has the tier, with --policy FILE or SPRAT_POLICY")
    check_goal(goal)
    tasks = tasks_beside(policy)
    with ProgressBar() as bar, egress_records() as broker:
        found = evaluate_tier(
            files,
            tier,
            _asked(task, model, tasks),
            load_policy(policy),
            policy,
            goal,
            lambda done, total: bar.show("asking the tier", done, total),
            tenant=tenant,
            broker=broker,
            tasks=tasks,
            reading=FileReading(ColumnNames(text_column, label_column), tuple(outside_label or ())),
            drawn=drawn,
            no_outside_texts=no_outside_texts,
        )
    if as_json:
        path = found.write(force=force)
        thresholds = found.thresholds.model_dump(mode="json")
        say_json({"type": "calibrated", **found.decision.as_json, "thresholds": thresholds, "written": str(path)})
        return
    for line in decision_lines(found.decision):
        say(line)
    say(f"{found.write(force=force)}: written; a running frontier service takes it over")


def _asked(task: str, model: str | None, tasks: TaskFiles) -> Asked:
    """Return what the tier is asked: the labels are those of the task's file, or of a model."""
    if task in tasks and model is None:
        file = tasks[task]
        if not file.has_labels:
            raise UserError(f"--task {task}: its kind is {file.kind}, and probabilities are stated for labels only")
        return Asked(task, "sets" if file.has_several_labels else "label", tuple(file.labels), file.languages)
    return Asked.of(task, named_model(model or task, tasks).model.card)
