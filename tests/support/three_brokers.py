"""Three brokers that are one cluster: each is broker and controller, so any one of them may be away."""

import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from sprat_local.kafka import prepare
from sprat_local.kafka.broker import EmbeddedKafka
from sprat_local.processes import private
from sprat_local.processes.ports import HOST, free_ports

_IDS = (1, 2, 3)


class Node(EmbeddedKafka):
    """One of the brokers."""

    def __init__(self, folder: Path, node_id: int, port: int, controllers: dict[int, int]) -> None:
        super().__init__(folder, port)
        self.node_id = node_id
        self._controllers = controllers

    def configuration(self, port: int, controller_port: int) -> str:
        mine = f"{HOST}:{self._controllers[self.node_id]}"
        more = {
            "node.id": self.node_id,
            "controller.quorum.voters": ",".join(f"{each}@{HOST}:{at}" for each, at in self._controllers.items()),
            "listeners": f"PLAINTEXT://{HOST}:{port},CONTROLLER://{mine}",
            "default.replication.factor": 3,
            "offsets.topic.replication.factor": 3,
            "transaction.state.log.replication.factor": 3,
            "transaction.state.log.min.isr": 2,
        }
        return super().configuration(port, controller_port) + "".join(f"{key}={value}\n" for key, value in more.items())


@contextmanager
def three_brokers(folder: Path) -> Iterator[list[Node]]:
    """Start them; they listen before the first has answered, since two must vote before any one serves."""
    ports = free_ports(6)
    nodes = [Node(folder / str(each), each, ports[each - 1], dict(zip(_IDS, ports[3:], strict=True))) for each in _IDS]
    files = prepare.prepare()
    for node in nodes:
        log = folder / str(node.node_id) / "log"
        private.make_folder(log.parent)
        files.format_storage(log)
        properties = log / "meta.properties"
        text = re.sub("(?m)^cluster.id=.*$", "cluster.id=dGhyZWUtYnJva2Vycy0xMg", properties.read_text("utf-8"))
        properties.write_text(re.sub("(?m)^node.id=.*$", f"node.id={node.node_id}", text), "utf-8")
    try:
        with ThreadPoolExecutor(len(nodes)) as pool:
            list(pool.map(Node.start, nodes))
        yield nodes
    finally:
        for node in nodes:
            node.stop(grace_s=0)
