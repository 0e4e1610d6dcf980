"""Fetch sessions (KIP-227): a fetch names the partitions whose offsets have changed, and its answer those with news.

aiokafka names all partitions in each fetch, and the broker answers with all of them: 64 of a router whose eight topics
have eight partitions, mostly to read one record. It relies on private parts of aiokafka: that a consumer's fetcher has
its client as `_client`, and sends a `FetchRequest` by its `send`.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from aiokafka.protocol.fetch import FetchRequest

_SINCE_VERSION: Final = 7
"""Of the request: before it, there were no sessions."""
_MOST_EPOCHS: Final = 2**31 - 1

Topics = Sequence[tuple[str, Sequence[tuple[int, int, int]]]]
"""Topic → partition, offset, most bytes."""
Partitions = list[tuple[str, list[Any]]]


@dataclass(slots=True)
class FetchSession:
    """What a broker knows of the fetches of one consumer."""

    id: int = 0
    """0: the broker keeps none."""
    epoch: int = 0
    """Of the next fetch; 0: it names all partitions, and begins a new session instead of the old one."""
    _offsets: dict[tuple[str, int], int] = field(default_factory=dict)
    """Where the broker reads each partition of the session."""

    def named(self, topics: Topics) -> tuple[Partitions, Partitions]:
        """Return which partitions a fetch of `topics` names, and which it takes out of the session."""
        known, self._offsets = self._offsets if self.epoch else {}, {}
        changed = defaultdict(list)
        for topic, partitions in topics:
            for partition in partitions:
                place = topic, partition[0]
                self._offsets[place] = partition[1]
                if known.pop(place, None) != partition[1]:
                    changed[topic].append(partition)
        return list(changed.items()), _by_topic(known)

    def take(self, answer: Any) -> None:
        """Take up the broker's answer to a fetch."""
        if answer.API_VERSION < _SINCE_VERSION:
            return
        if answer.error_code:  # it has forgotten the session, or another answer was lost
            self.restart()
        elif answer.session_id:
            self.id, self.epoch = answer.session_id, self.epoch % _MOST_EPOCHS + 1
        else:  # it keeps no more sessions
            self.id = self.epoch = 0

    def restart(self) -> None:
        """Begin a new session with the next fetch: whether the broker has received the last one is not known."""
        self.epoch = 0


def _by_topic(places: Iterable[tuple[str, int]]) -> Partitions:
    partitions = defaultdict(list)
    for topic, partition in places:
        partitions[topic].append(partition)
    return list(partitions.items())


class SessionFetch(FetchRequest):  # type: ignore[misc] # aiokafka's types are private
    """A fetch within a session; `topics` are all that it reads."""

    def __init__(self, request: Any, session: FetchSession) -> None:
        self.__dict__.update(vars(request))
        self._session = session

    def build(self, request_struct_class: type[Any]) -> Any:
        """Return what is sent."""
        if request_struct_class.API_VERSION < _SINCE_VERSION:
            return super().build(request_struct_class)
        session = self._session
        named, forgotten = session.named(self.topics)
        limits = self._max_wait_ms, self._min_bytes, self._max_bytes
        built = FetchRequest(*limits, self._isolation_level, named, self._rack_id).build(request_struct_class)
        built.session_id, built.session_epoch, built.forgotten_topics_data = session.id, session.epoch, forgotten
        return built


class SessionClient:
    """The client of a consumer's fetcher: sends each fetch within the session with its broker."""

    def __init__(self, client: Any) -> None:
        self._sent_by = client
        self._sessions: Mapping[int, FetchSession] = defaultdict(FetchSession)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sent_by, name)

    async def send(self, broker: int, request: Any, **options: Any) -> Any:
        """Send a request, as the client does."""
        if not isinstance(request, FetchRequest):
            return await self._sent_by.send(broker, request, **options)
        session = self._sessions[broker]
        try:
            answer = await self._sent_by.send(broker, SessionFetch(request, session), **options)
        except BaseException:  # also where it is cancelled
            session.restart()
            raise
        session.take(answer)
        return answer
