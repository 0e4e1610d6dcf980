"""The messages of Sprat: pydantic models, topics, ids and the wire format. No I/O, and no dependency but pydantic.

Read `texts`, `predictions`, `frontier` and `results` in the order of a text's way; then `wire` (records), `structured`,
`text_warnings`, `ids`, `signing`, `trace_context`, `topics`, `dead_letters`, `codes`, `kept`, `thresholds`,
`announcements`, `reviews` and `languages`.
"""

from sprat_contracts.announcements import ModelAnnounced
from sprat_contracts.base import OWN_TASKS, TASKS, Message
from sprat_contracts.codes import ReasonCode
from sprat_contracts.dead_letters import DeadLetterReason
from sprat_contracts.frontier import (
    ChainPlace,
    Egress,
    EgressRecord,
    FrontierAnswered,
    FrontierRequested,
    TierStep,
    Usage,
)
from sprat_contracts.predictions import (
    OUTPUTS,
    Accuracy,
    Alternative,
    Cause,
    Declined,
    Entity,
    IntentOutput,
    LabelsOutput,
    MaskedOutput,
    ModelRef,
    NerOutput,
    Origin,
    Output,
    PersonalSpan,
    Prediction,
    ScoredLabel,
    TextOutput,
    TranslationOutput,
)
from sprat_contracts.results import FeedbackGiven, Result, Route, SmallAnswer
from sprat_contracts.reviews import AlarmRaised, ReviewAsked, ReviewCell, ReviewClosed, TextName
from sprat_contracts.signing import SIGNATURE_HEADER, TextSignature, sign
from sprat_contracts.tasks import BUILT_IN, TaskTable
from sprat_contracts.texts import LanguageDetected, TaskOptions, Tasks, TextSubmitted, TextWarning, TranslationOptions
from sprat_contracts.thresholds import Cell, Certificate, EntityCell, EstimatedCell, Measurement, Step, Thresholds
from sprat_contracts.topics import Topic, Topics
from sprat_contracts.trace_context import Traceparent
from sprat_contracts.wire import Envelope, Event, KafkaRecord, Record, decode, encode
from sprat_contracts.wire_errors import WireError

__all__ = [
    "BUILT_IN",
    "OUTPUTS",
    "OWN_TASKS",
    "SIGNATURE_HEADER",
    "TASKS",
    "Accuracy",
    "AlarmRaised",
    "Alternative",
    "Cause",
    "Cell",
    "Certificate",
    "ChainPlace",
    "DeadLetterReason",
    "Declined",
    "Egress",
    "EgressRecord",
    "Entity",
    "EntityCell",
    "Envelope",
    "EstimatedCell",
    "Event",
    "FeedbackGiven",
    "FrontierAnswered",
    "FrontierRequested",
    "IntentOutput",
    "KafkaRecord",
    "LabelsOutput",
    "LanguageDetected",
    "MaskedOutput",
    "Measurement",
    "Message",
    "ModelAnnounced",
    "ModelRef",
    "NerOutput",
    "Origin",
    "Output",
    "PersonalSpan",
    "Prediction",
    "ReasonCode",
    "Record",
    "Result",
    "ReviewAsked",
    "ReviewCell",
    "ReviewClosed",
    "Route",
    "ScoredLabel",
    "SmallAnswer",
    "Step",
    "TaskOptions",
    "TaskTable",
    "Tasks",
    "TextName",
    "TextOutput",
    "TextSignature",
    "TextSubmitted",
    "TextWarning",
    "Thresholds",
    "TierStep",
    "Topic",
    "Topics",
    "Traceparent",
    "TranslationOptions",
    "TranslationOutput",
    "Usage",
    "WireError",
    "decode",
    "encode",
    "sign",
]
