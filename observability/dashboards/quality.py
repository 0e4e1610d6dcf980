"""Models: do the small models still fit the texts? For owners of a use case."""

from observability.dashboards.panels import Dashboard, Query, bars, heatmap, lines, number, ranking, row, stacked, table
from observability.dashboards.promql import ANY, RANGE, Matches, buckets, mean, now, per_step, rate, share, total
from sprat.telemetry import attributes as a
from sprat.telemetry import signals as s

_BY = (a.TASK, a.MODEL)
_NAMED = "{{sprat_task}}, {{sprat_model_name}}"

MODELS = Dashboard(
    uid="sprat-models",
    title="Sprat: Models",
    description="For owners of a use case: how sure are the small models, how much of their work is kept, in which "
    "languages do texts arrive, which versions answer, and what do they decline?",
    rows=(
        row(
            "The answer, for the chosen time range",
            number(
                "Predictions", "Of small models, declined ones included.", "short", total(s.PREDICTIONS), decimals=0
            ),
            number(
                "Kept",
                "Share of the judged predictions with a confidence that the router kept.",
                "percentunit",
                share(total(s.CONFIDENCE, decision="kept"), total(s.CONFIDENCE)),
                decimals=1,
            ),
            number(
                "Mean confidence",
                "Calibrated: of texts with 0.9, nine in ten answers are right.",
                "percentunit",
                mean(s.CONFIDENCE, window=RANGE),
                decimals=1,
            ),
            number(
                "Declined",
                "Share of the predictions in which the model gives no answer: a language or target that it does "
                "not serve, a text that is too long or that breaks it.",
                "percentunit",
                share(f"({total(s.PREDICTIONS)} - {total(s.PREDICTIONS, reason='none')})", total(s.PREDICTIONS)),
                decimals=1,
            ),
            number(
                "Languages",
                "Languages of accepted texts, as their senders said.",
                "short",
                f"count({total(s.PREDICTIONS, a.LANGUAGE)} > 0)",
                decimals=0,
            ),
            number(
                "Versions that answer",
                "Versions of models that run now. More than one of a model: an update is under way.",
                "short",
                f"count({now(s.BUILD, a.MODEL, a.MODEL_VERSION, model_version=ANY)})",
                decimals=0,
            ),
        ),
        row(
            "How sure they are",
            heatmap(
                "Confidence over time",
                "How many predictions fell into which band of confidence. A band that moves down: the texts have "
                "changed.",
                "percentunit",
                Query(buckets(s.CONFIDENCE), "{{le}}"),
            ),
            lines("Mean confidence by model", "By task and model.", "percentunit", mean(s.CONFIDENCE, *_BY)),
            lines(
                "Kept share by model",
                "Of predictions with a confidence.",
                "percentunit",
                share(rate(s.CONFIDENCE, *_BY, decision="kept"), rate(s.CONFIDENCE, *_BY)),
            ),
            lines(
                "Called outside",
                "Share of predictions with a confidence that name none of the task's labels, kept or escalated.",
                "percentunit",
                share(rate(s.OUTSIDE, a.TASK), rate(s.CONFIDENCE, a.TASK)),
                needs="a text that a small model calls outside",
            ),
            lines(
                "Without a level",
                "Share of predictions with a confidence that are to reach a goal and carry no level: their model "
                "was not measured.",
                "percentunit",
                share(rate(s.NOT_MEASURED, a.TASK), rate(s.CONFIDENCE, a.TASK)),
                needs="a model without thresholds",
            ),
        ),
        row(
            "What they get, and what they decline",
            ranking("Texts by language", "Accepted pairs over the range.", "short", total(s.PREDICTIONS, a.LANGUAGE)),
            stacked("Predictions by task", "A second.", "reqps", rate(s.PREDICTIONS, a.TASK)),
            bars(
                "Declined by reason",
                "Predictions without an answer in each minute, by task.",
                "short",
                per_step(s.PREDICTIONS, a.TASK, a.REASON, reason=Matches("none", negate=True)),
                needs="a text that a small model declines",
            ),
            ranking(
                "Declined by language",
                "Over the range. A language with many is one to train for.",
                "short",
                total(s.PREDICTIONS, a.TASK, a.LANGUAGE, reason=Matches("none", negate=True)),
                needs="a text that a small model declines",
            ),
            stacked(
                "Predictions by version",
                "A second, by the version of the model that the router judged.",
                "reqps",
                Query(rate(s.CONFIDENCE, *_BY, a.MODEL_VERSION), _NAMED + " {{sprat_model_version}}"),
            ),
            table(
                "Models that run",
                "Each service with its version and its model's version, by number of processes.",
                "short",
                Query(
                    now(s.BUILD, "service_name", a.VERSION, a.MODEL, a.MODEL_VERSION, model_version=ANY),
                    "{{service_name}} {{service_version}} {{sprat_model_name}} {{sprat_model_version}}",
                ),
                decimals=0,
            ),
            table(
                "Goals",
                "What the policy asks of the answers of each task's default model: of those that are kept, this "
                "share right. `none`: a fixed `keep_at` decides.",
                "short",
                Query(
                    now(s.POLICY_GOAL, a.TASK, a.GOAL, a.EVIDENCE, how="max"),
                    "{{sprat_task}} {{sprat_goal}} {{sprat_evidence}}",
                ),
                decimals=0,
            ),
            table(
                "Thresholds",
                "By which each model's answers get their levels, by number of processes. A model that is missing "
                "has none.",
                "short",
                Query(
                    now(s.THRESHOLDS, *_BY, a.MODEL_VERSION, a.THRESHOLDS_VERSION),
                    _NAMED + " {{sprat_model_version}} {{sprat_thresholds_version}}",
                ),
                decimals=0,
                needs="a model with thresholds",
            ),
        ),
        row(
            "Reviews of what is kept",
            bars(
                "Drawn to be reviewed",
                "In each minute, by task.",
                "short",
                per_step(s.REVIEWS_DRAWN, a.TASK),
                needs="a policy with a review",
            ),
            bars(
                "How they ended",
                "In each minute: `right` and `wrong` count as evidence, `cannot_tell` and `unanswered` do not.",
                "short",
                per_step(s.REVIEWS_CLOSED, a.TASK, a.VERDICT),
                needs="a policy with a review",
            ),
            lines(
                "Open reviews",
                "Draws that wait for an answer, or for one before them. A line that only grows: nobody reviews.",
                "short",
                now(s.REVIEWS_OPEN, a.TASK, how="max"),
                decimals=0,
                needs="a policy with a review",
            ),
            lines(
                "Evidence against the goal",
                "On a scale of logarithms: 1 raises the alarm, below 0 the reviews speak for the goal. Of a task, "
                "and of each cell.",
                "short",
                now(s.GUARDIAN_EVIDENCE, a.TASK, a.CELL, how="max"),
                decimals=2,
                needs="a policy with a review",
            ),
            table(
                "Alarms that stand",
                "Raised and not cleared: `sprat alarms explain` says why.",
                "short",
                Query(
                    now(s.GUARDIAN_ALARMS, a.TASK, a.ALARM_KIND, a.CELL, how="max"),
                    "{{sprat_task}} {{sprat_alarm_kind}} {{sprat_review_cell}}",
                ),
                decimals=0,
                needs="an alarm",
            ),
            bars(
                "Answers that do not count",
                "In each minute, by why. Many of one kind: somebody answers what was not drawn, or twice.",
                "short",
                per_step(s.REVIEWS_IGNORED, a.IGNORED),
                needs="an answer that does not count",
            ),
        ),
    ),
)
