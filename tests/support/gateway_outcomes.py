"""What the door knows of a text, as the shapes of its responses get it."""

from typing import Any

from sprat_contracts import Origin, Result, Route, ids
from sprat_gateway.replies.waiters import TextOutcome, TextRefusal

SOURCE, ID = "/crm", "t-1"
UUID = str(ids.derive(ids.TEXT, SOURCE, ID))


def result(task: str = "intent", **fields: Any) -> Result:
    """Return a Result: by default the small model's label `refund`, kept."""
    route = {"decision": "kept", "reason": "confident", "goal": 0.97, "evidence": "estimated", "level": 0.98}
    given: dict[str, Any] = {
        "text_id": ID,
        "text_source": SOURCE,
        "task": task,
        "requested": (task,),
        "origin": Origin(partition=0, offset=1, appended_at=1),
        "status": "answered",
        "output": {"label": "refund"},
        "confidence": 0.9,
        "source": "small",
        "route": Route(**route),
        "model": {"name": "en-fast", "version": "v1"},
        "language": "auto",
        "tenant": "default",
    }
    return Result.model_validate(given | fields, strict=False)


def outcome(*results: Result, tasks: tuple[str, ...] = (), rejected: tuple[TextRefusal, ...] = ()) -> TextOutcome:
    """Return an outcome with these Results; `tasks` are the asked ones, by default theirs."""
    found = {each.task: each for each in results}
    return TextOutcome(UUID, SOURCE, ID, "default", tasks or tuple(found), found, rejected)
