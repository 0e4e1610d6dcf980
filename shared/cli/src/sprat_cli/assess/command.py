"""`sprat assess`: small model, frontier, and the router between them, on the user's own texts."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from sprat.errors import UserError
from sprat_cli.assess.answers import (
    UNKNOWN_PRICE,
    FrontierResult,
    FrontierSource,
    answered_by_words,
    frontier_result,
    small_model_answers,
    text_outcomes,
)
from sprat_cli.assess.as_json import assessment_json, interval_json
from sprat_cli.assess.as_trained import language_of, outside_note, read_as_trained
from sprat_cli.assess.asked_task import INTENT, TaskOfModel, asked_task
from sprat_cli.assess.denial import DEFAULT_TENANT, denial, denies_frontier
from sprat_cli.assess.found import AssessmentReport, default_page, find_keep_at, summary
from sprat_cli.assess.held_out import beside_held_out
from sprat_cli.assess.keep_at_target import KeepAtTarget
from sprat_cli.assess.new_texts import new_texts
from sprat_cli.assess.outside_kept import outside_kept
from sprat_cli.assess.policy_file import write_tier_calibrations
from sprat_cli.assess.small_model import model_of_folder, model_of_task
from sprat_cli.assess.written import said_of_written, where_to_write, write_chosen
from sprat_cli.chosen_policy import chosen_policy, policy_for_masking, remark_unread
from sprat_cli.options import Encoding, Json, LabelColumn, Prefix, SkipTrained, TextColumn, check_asked_name
from sprat_cli.terminal import counted, remark, say, say_json
from sprat_cli.which_keep_at import CardKeepAt
from sprat_inference.label_sets import MULTI_LABEL
from sprat_policy import load_policy
from sprat_training.datasets.columns import ColumnNames
from sprat_training.evaluation.metrics import Interval
from sprat_training.evaluation.report import euros
from sprat_training.evaluation.routing import (
    UNKNOWN_COSTS,
    parse_budget,
)
from sprat_training.evaluation.routing import assess as assess_routing
from sprat_training.evaluation.tier_comparison import TierResult
from sprat_training.record import seen_by
from sprat_training.tier_calibration import TierFit, calibrate_tiers

EPILOG = """\b
Examples:
  sprat assess hr-test.csv --model hr --accuracy 0.97
  sprat assess hr-test.csv --model hr --frontier-answers mistral.jsonl --accuracy 0.97
  sprat assess hr-test.csv --model hr --frontier http://127.0.0.1:11434/v1 --frontier-model qwen3 \
    --frontier-region local --policy policy.yaml --tenant acme --save-answers a.jsonl
  sprat assess hr-test.csv --model hr --policy policy.yaml --tenant inhouse --accuracy 0.97
  sprat assess hr-test.csv --model hr --tiers --policy policy.yaml --tenant acme
  sprat assess hr-test.csv new.csv --model hr --accuracy 0.97 --tenant acme --write --as hr
  sprat assess desk-test.csv --task desk --accuracy 0.95
  sprat assess hr-hard.csv --model hr --tiers --calibrate-tiers --policy policy.yaml --tenant acme
  sprat assess hr-test.csv --model hr --frontier-accuracy 0.98 --frontier-eur 0.0004 --budget 20EUR/1M
  sprat assess hr-test.csv --model hr --frontier-answers a.jsonl --accuracy 0.97 --policy policy.yaml --write --as hr

\b
FILE holds texts with their right labels that the model was not trained on. The frontier's answers are in a file like
it, with the cost of each answer as cost_eur, or are asked for now; or you say how often they are right. Without any of
these the small model alone is measured: what it keeps at each keep_at, and how much of that is right. Where --policy
denies the frontier to --tenant, a text that is not kept ends as a degraded answer. Intervals of shares are Wilson's,
those of costs and of micro-F1 are by bootstrap, 1,000 resamples, and never narrower than unseen texts allow. The report
of hr-test.csv and --model hr is written to hr-test-hr-assessment.html beside FILE, or to --output. --write changes the
keep_at of the model that texts ask for by the name after --as, which may be left out only for the shipped model. Of a
task whose file beside --policy names DIR as its artefact, it changes the keep_at of that file; of a model beside that
one (its card or --task names the task), models.NAME.keep_at there, with the name after --as. Without --force it refuses
texts that the model was trained on; --skip-trained leaves them out: they are not measured, and not sent to anybody. In
place of a keep_at below that of the card which the texts do not show with 95 % confidence, it writes the card's where a
lower one is in force, and else nothing; with --budget nothing.

\b
Without --model, what answers --task is measured: the artefact that its file names, or its labels alone where it names
none.

\b
Without --tenant, the rules of the tenant "default" hold, as for a text that names no tenant: where the policy has
neither "default" nor "*", the frontier is denied to it.

\b
--accuracy is the share right of all answers, the frontier's included. Without a frontier, and where --policy denies it
to --tenant, it is the share right of those kept, as in `sprat train`: escalated texts have no answer here, or end as
the small model's. The rule is that of `sprat train`: the least keep_at from 0.50 on at which the texts show the
accuracy with 95 % confidence (Wilson's one-sided interval). Where they are too few, it is provisional: the least that
reaches it on these texts, but none below the one that shows the most; and it is said how many texts it takes.

\b
--frontier and --tiers take the same path as the frontier service: they need --policy or SPRAT_POLICY, and send a text
only as the rules of --tenant allow, to a region that they name, masked, also by the policy's own terms and patterns,
and where the rules let texts go whole. A text that cannot be masked is not sent. Tiers inside the house get texts as
they are, unless they have `mask: true`. --tiers asks about every text of FILE, also those that the model would keep.
What a large model is told stands in the file of the task (--task), beside the policy; where that names DIR as its
artefact, or the card the task, it is found. With a broker (--bootstrap or SPRAT_KAFKA__BOOTSTRAP) and SPRAT_SECRET,
each call has its egress records on Kafka, the first before anything is sent; without a broker there are none. The API
key is read from SPRAT_FRONTIER__API_KEY. --calibrate-tiers writes into the policy what the probabilities mean that a
tier states for its labels; from then on the tier's keep_at holds for the calibrated chance. It needs 50 answers of a
tier, 5 right and 5 wrong ones among them.

\b
Exit codes:
  0  done
  2  an option or a file is wrong, no keep_at reaches what was asked for, or --write was refused"""

_COSTS_0 = "costs: 0, by the prices of the tiers"
_SMALL_ALONE = (
    "of the small model alone: nothing is said of a large one, to which the rest is escalated; --accuracy is the share "
    "right of those kept; --frontier-answers, --frontier, --tiers or --frontier-accuracy compare it with a large model"
)


def assess(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE...", show_default=False, help="Texts with labels, of all files together."),
    ],
    *,
    model: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            show_default=False,
            help="The artefact of a model with labels. [default: that of --task, else its labels]",
        ),
    ] = None,
    text_column: TextColumn = None,
    label_column: LabelColumn = None,
    encoding: Encoding = "auto",
    outside_label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LABEL",
            show_default=False,
            help="The label that means `outside every label`, in FILE and in answers; further ones mean it in FILE. "
            "[default: as trained, else oos]",
        ),
    ] = None,
    language: Annotated[
        str | None,
        typer.Option(
            metavar="TAG",
            show_default=False,
            help="Of the texts, BCP 47. [default: SPRAT_DEFAULT_LANGUAGE, and en where that is not set or auto; the "
            "model's first where it does not serve that]",
        ),
    ] = None,
    answers: Annotated[
        Path | None,
        typer.Option(
            "--frontier-answers", metavar="FILE", show_default=False, help="The frontier's labels, a file like FILE."
        ),
    ] = None,
    url: Annotated[
        str | None,
        typer.Option(
            "--frontier", metavar="URL", show_default=False, help="Ask an OpenAI-compatible API now; needs a policy."
        ),
    ] = None,
    tiers: Annotated[
        bool, typer.Option("--tiers", help="Ask the tiers of the policy now, and compare them; needs a policy.")
    ] = False,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate-tiers", help="Write into the policy what the probabilities mean that each tier states."
        ),
    ] = False,
    task: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            show_default=False,
            help="The task of yours that the model is assessed for. [default: whose file names DIR, else that of its "
            "card]",
        ),
    ] = None,
    frontier_model: Annotated[
        str | None, typer.Option(metavar="NAME", show_default=False, help="Which model to ask there.")
    ] = None,
    frontier_region: Annotated[
        str | None,
        typer.Option(metavar="NAME", show_default=False, help="Region of that API, as the policy names it."),
    ] = None,
    frontier_price: Annotated[
        str, typer.Option(metavar="IN/OUT", help="Its price, euros per million tokens in and out.")
    ] = UNKNOWN_PRICE,
    save_answers: Annotated[
        Path | None, typer.Option(metavar="FILE.jsonl", show_default=False, help="Save the frontier's answers.")
    ] = None,
    frontier_accuracy: Annotated[
        float | None, typer.Option(min=0, max=1, show_default=False, help="Assume this accuracy instead of answers.")
    ] = None,
    frontier_eur: Annotated[
        float, typer.Option(min=0, help="Cost of one answer, where the file of answers has none.")
    ] = 0.0,
    accuracy: Annotated[
        float | None,
        typer.Option(
            min=0, max=1, show_default=False, help="Find the cheapest keep_at with this share right, see below."
        ),
    ] = None,
    budget: Annotated[
        str | None,
        typer.Option(metavar="20EUR/1M", show_default=False, help="Find the most accurate keep_at within this budget."),
    ] = None,
    policy: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            show_default=False,
            help="Your policy: what may be sent, and what happens to outside texts. [SPRAT_POLICY]",
        ),
    ] = None,
    tenant: Annotated[
        str, typer.Option(metavar="NAME", help="The tenant whose rules in --policy hold.")
    ] = DEFAULT_TENANT,
    write: Annotated[
        bool, typer.Option("--write", help="Write the keep_at found, or the card's, into the policy.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Write the one found all the same, see below.")] = False,
    name: Annotated[
        str | None,
        typer.Option(
            "--as", metavar="NAME", show_default=False, help="Write it for the model that texts ask for by this name."
        ),
    ] = None,
    output: Annotated[
        Path | None, typer.Option(metavar="FILE.html", show_default=False, help="The report. [default: beside FILE]")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, max=64, help="Threads that run the model.")] = 2,
    skip_trained: SkipTrained = False,
    as_json: Json = False,
    bootstrap: Annotated[
        str | None,
        typer.Option(
            metavar="HOST:PORT",
            show_default=False,
            help="Kafka for the egress records of --frontier and --tiers. [SPRAT_KAFKA__BOOTSTRAP; else none]",
        ),
    ] = None,
    prefix: Prefix = None,
) -> None:
    """Measure a model, a frontier model and the router between them on your own texts."""
    budget_eur = _budget(budget, accuracy)
    asks = url is not None or tiers
    policy = _policy(policy, asks=asks)
    _check_writes(
        policy, chooses=accuracy is not None or budget is not None, write=write, calibrate=calibrate, tiers=tiers
    )
    check_asked_name(name)
    rules = None if policy is None else load_policy(policy)
    assessed = model_of_task(task, policy, threads) if model is None else model_of_folder(model, threads)
    record, named, card = assessed.record(), ColumnNames(text_column, label_column), assessed.card
    several = card.kind == MULTI_LABEL
    of_model = TaskOfModel(INTENT, card.labels or (), several)
    asked = asked_task(task, policy, assessed.folder, of_model, of_card=card.task, asks=asks, writes=write or calibrate)
    target = KeepAtTarget(asked, name, card.name, card.version, assessed.folder)
    denied = denies_frontier(rules, asked.name, tenant)
    read, columns, outside = read_as_trained(files, record, named, outside_label or (), encoding, several=several)
    texts = new_texts(read, [assessed], skip_trained=skip_trained)
    data = texts.data
    source = FrontierSource(
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
        tiers,
    )
    source.check(budget=budget is not None, denied=denied)
    loaded, language = assessed.load(), language_of(language, card.languages, data.texts)
    seen = seen_by(record, data)
    if write and policy:
        target.check(policy, None if force else seen)
    small = small_model_answers(loaded, data, asked, language, outside)
    escalates = target.escalates_outside(rules)
    frontier = frontier_result(source, data, asked, language, outside)
    unknown = not source.given and not denied
    outcomes = text_outcomes(data, small, frontier, outside, escalates=escalates, denied=denied, unknown=unknown)
    also = target.thresholds(loaded.card, rules, language)
    assessment, by_words = (
        assess_routing(outcomes, named=also, assumed=frontier_accuracy),
        answered_by_words(small, outcomes),
    )
    f1, beside = small.micro_f1(data, outside), beside_held_out(small, data, outside, card)
    page = output or default_page(files, assessed.name)
    notes = [
        f"{counted(len(data), 'text')} of {data.name}",
        *texts.lines,
        f"model: {small.name}, version {small.version}",
        *([] if f1 is None else [f"right means that all labels of a text are right; micro-F1 {_f1(f1)}"]),
        *([] if several else outside_note(data.labels.count(outside), len(data), card)),
        *([] if by_words is None else [f"by words: {by_words}"]),
        *([frontier.description] if frontier.description and (source.asks or not denied) else []),
        *([_SMALL_ALONE] if unknown else []),
        *map(_tier_note, frontier.tiers),
    ]
    if not assessment.costs_known and not assessment.small_only:
        notes.append(
            (_COSTS_0 if frontier.tiers else UNKNOWN_COSTS)
            + ("" if accuracy is None else ": the share escalated decides")
        )
    warnings = _warned(
        seen,
        denial(policy, rules, tenant, source.options) if denied and policy and rules else None,
        None if accuracy is None and budget is None else target.served_instead,
        beside and beside.difference,
    )
    report = AssessmentReport(
        page,
        f"Assessment of {small.name} on {data.name}",
        notes,
        [*texts.unknown, *warnings],
        outside_kept(data, small, outside),
    )
    of_card = CardKeepAt.of(loaded.card, language)
    choice, held_back, keep_ats = find_keep_at(
        assessment, accuracy, budget_eur, also, of_card, record, target, rules, language, report
    )
    held = None if force or not write else held_back
    change = (
        write_chosen(
            target,
            policy,
            choice,
            held,
            assessment,
            tenant,
            seen=seen is not None,
        )
        if write and policy and choice
        else None
    )
    fits, calibrated = _calibrated(policy if calibrate else None, asked.name, frontier, data.labels)
    if as_json:
        of_sets = {} if f1 is None else {"micro_f1": round(f1.value, 4), "micro_f1_interval": interval_json(f1)}
        about = (
            assessment_json(assessment, by_words, choice, page, change, seen, texts, beside.as_json if beside else None)
            | of_sets
        )
        _warned(held and held.why_nothing)
        say_json(about | report.outside.as_json(keep_ats) | _tiers_json(frontier.tiers) | _fits_json(fits))
    else:
        goes = (
            []
            if write or seen
            else where_to_write(
                target,
                policy,
                choice,
                held_back,
                assessment,
                of_card,
                also,
                target.source(rules, language),
                files=len(files),
            )
        )
        say(
            "\n".join(
                [
                    *summary(assessment, choice, held_back, report.noted(keep_ats)),
                    f"{page}: the report",
                    *goes,
                    *said_of_written(change, choice, held, assessment, of_card.value, record),
                    *calibrated,
                ]
            )
        )


def _f1(interval: Interval) -> str:
    low, high = interval.rounded_ends
    return f"{interval.value:.3f} ({low:.3f} to {high:.3f})"


def _tier_note(tier: TierResult) -> str:
    """Return what a tier did, for the terminal and the report."""
    of_sets = "" if tier.micro_f1 is None else f"micro-F1 of them {_f1(tier.micro_f1)}; "
    known = tier.eur_per_million.high > 0
    costs = f"{euros(tier.eur_per_million)} EUR per million texts asked" if known else "costs: 0"
    return (
        f"tier {tier.tier}: {counted(tier.asked, 'text')} reached it; kept {tier.kept}; right of those kept "
        f"{tier.right_of_kept if tier.kept.value else '–'}; "
        f"right of all {tier.answered} answers {tier.right_of_answered if tier.answered else '–'}; {of_sets}{costs}"
    )


def _calibrated(
    policy: Path | None, task: str, frontier: FrontierResult, labels: Sequence[str]
) -> tuple[tuple[TierFit, ...], list[str]]:
    """Write the calibrations of the tiers into a policy, if there is one; return them, and a line about each."""
    if policy is None:
        return (), []
    fits = calibrate_tiers(frontier.tier_answers, labels)
    return fits, list(write_tier_calibrations(policy, task, fits))


def _fits_json(fits: tuple[TierFit, ...]) -> dict[str, Any]:
    return {"tier_calibrations": [fit.as_json for fit in fits]} if fits else {}


def _tiers_json(tiers: tuple[TierResult, ...]) -> dict[str, Any]:
    return {"tiers": [tier.as_json for tier in tiers]} if tiers else {}


def _warned(*warnings: object) -> list[str]:
    """Return, and say at once, what a user must know of the figures; None for nothing."""
    lines = [str(each) for each in warnings if each is not None]
    for line in lines:
        remark(line)
    return lines


def _budget(budget: str | None, accuracy: float | None) -> float | None:
    """Return what `--budget` says; None where it is not given."""
    if accuracy is not None and budget is not None:
        raise UserError("--accuracy and --budget exclude each other")
    return None if budget is None else parse_budget(budget)


def _check_writes(policy: Path | None, *, write: bool, chooses: bool, calibrate: bool, tiers: bool) -> None:
    file = ("--policy FILE or SPRAT_POLICY", policy is not None)
    if write:
        _check_given("--write", file, ("--accuracy or --budget to choose by", chooses))
    if calibrate:
        why = "it asks the tiers of the policy and writes into it"
        _check_given("--calibrate-tiers", ("--tiers", tiers), file, why=why)


def _check_given(option: str, *needed: tuple[str, bool], why: str | None = None) -> None:
    """Check that all is given that an option needs; the message names what is missing."""
    missing = [name for name, is_given in needed if not is_given]
    if missing:
        raise UserError(f"{option} needs {', and '.join(missing)}{'' if why is None else f': {why}'}")


def _policy(given: Path | None, *, asks: bool) -> Path | None:
    """Return the policy file; say what is not masked without one, and what `sprat up` has not read of it."""
    policy = (policy_for_masking if asks else chosen_policy)(given)
    remark_unread(policy)
    return policy
