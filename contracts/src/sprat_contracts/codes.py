"""The codes of dead letters, of declined answers and of warnings.

Writers use this enum. On the wire a code is an open string: readers accept any, because a later version may add one.
"""

from enum import StrEnum


class ReasonCode(StrEnum):
    """Why a record is a dead letter (`sprat_error_code`) or an answer declined; what was unclear (`warnings`)."""

    # Dead letters: the record is not what its topic holds.
    STRUCTURED_MODE = "structured_mode"
    UNSUPPORTED_CONTENT_TYPE = "unsupported_content_type"
    INVALID_HEADER = "invalid_header"
    INVALID_CLOUDEVENT = "invalid_cloudevent"
    UNEXPECTED_TYPE = "unexpected_type"
    EMPTY_VALUE = "empty_value"
    INVALID_JSON = "invalid_json"
    INVALID_MESSAGE = "invalid_message"
    INVALID_TEXT = "invalid_text"
    NO_KNOWN_TASK = "no_known_task"
    UNKNOWN_TASK = "unknown_task"
    TASK_NOT_REQUESTED = "task_not_requested"
    UNKNOWN_SERVICE = "unknown_service"
    FOREIGN_SOURCE = "foreign_source"
    BAD_SIGNATURE = "bad_signature"

    # Warnings of a text; with strict texts, dead letters.
    UNKNOWN_FIELD = "unknown_field"
    UNKNOWN_VALUE = "unknown_value"

    # Both: the record becomes a dead letter, and its text and task a declined answer.
    TOO_LARGE = "too_large"
    MODEL_ERROR = "model_error"
    DEFECT = "defect"

    # Declined by a small model, or because none serves the task.
    NO_SERVICE = "no_service"
    LANGUAGE = "language"
    TARGET = "target"
    LABELS = "labels"
    TOO_LONG = "too_long"
    UNSURE = "unsure"

    # The small model's answer has a label that it has not announced.
    UNKNOWN_LABEL = "unknown_label"

    # Declined on the way to a frontier model, or by it.
    TASK = "task"
    NO_LABELS = "no_labels"
    NO_OUTPUT = "no_output"
    DEADLINE = "deadline"
    POLICY = "policy"
    MASKING = "masking"
    PROVIDER = "provider"
    INVALID_ANSWER = "invalid_answer"
    REFUSED = "refused"
    NO_GOLD = "no_gold"
    QUOTA = "quota"
    OVERLOAD = "overload"
    NO_CONFIDENCE = "no_confidence"
