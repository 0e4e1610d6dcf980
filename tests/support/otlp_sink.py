"""An OTLP endpoint, over HTTP or gRPC, that keeps what it is sent, as an OpenTelemetry collector would take it."""

import gzip
import threading
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

_PLAIN = {None: bytes, "gzip": gzip.decompress, "deflate": zlib.decompress}


class OtlpSink:
    """What was sent, in the order in which it came."""

    def __init__(self) -> None:
        self.url = ""
        self.paths: list[str] = []
        self.headers: list[dict[str, str]] = []
        """With names in lower case; one for each request."""
        self.resources: list[dict[str, str]] = []
        """Attributes of the resources of all requests."""
        self.spans: list[Any] = []
        self.metrics: list[Any] = []
        self.logs: list[tuple[str, Any]] = []
        """Name of the logger, and the record."""
        self.changed = threading.Condition()

    def wait_for(self, condition: Any, timeout_s: float = 10.0) -> None:
        """Wait until the condition, called without arguments, holds."""
        with self.changed:
            assert self.changed.wait_for(condition, timeout_s), f"received only {self.paths}"

    def take(self, path: str, headers: dict[str, str], body: bytes) -> None:
        """Keep a request."""
        plain = _PLAIN[headers.get("content-encoding")](body)
        with self.changed:
            if path.endswith("/traces"):
                for resource in ExportTraceServiceRequest.FromString(plain).resource_spans:
                    self.resources.append(values(resource.resource.attributes))
                    self.spans += [span for scope in resource.scope_spans for span in scope.spans]
            elif path.endswith("/metrics"):
                for resource in ExportMetricsServiceRequest.FromString(plain).resource_metrics:
                    self.resources.append(values(resource.resource.attributes))
                    self.metrics += [metric for scope in resource.scope_metrics for metric in scope.metrics]
            else:
                for resource in ExportLogsServiceRequest.FromString(plain).resource_logs:
                    self.resources.append(values(resource.resource.attributes))
                    self.logs += [(each.scope.name, line) for each in resource.scope_logs for line in each.log_records]
            self.paths.append(path)
            self.headers.append(headers)
            self.changed.notify_all()


def values(attributes: Any) -> dict[str, Any]:
    """Return attributes of any signal as a dictionary."""
    return {item.key: getattr(item.value, item.value.WhichOneof("value")) for item in attributes}


@contextmanager
def otlp_sink(status: int = 200, *, hanging: bool = False) -> Iterator[OtlpSink]:
    """Serve a sink; `status` is its answer to every request, and a hanging one accepts and never answers."""
    sink = OtlpSink()
    leave = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            sink.take(self.path, {name.lower(): value for name, value in self.headers.items()}, body)
            if hanging:
                leave.wait()
            else:
                self.send_response(status)
                self.send_header("content-length", "0")
                self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    sink.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield sink
    finally:
        leave.set()
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def otlp_grpc_sink() -> Iterator[OtlpSink]:
    """Serve a sink over gRPC. Its paths are those of the services' methods, reduced to `/v1/traces` and so on."""
    sink = OtlpSink()

    class Services(grpc.GenericRpcHandler):
        def service(self, details):
            signal = {"TraceService": "traces", "MetricsService": "metrics", "LogsService": "logs"}
            path = f"/v1/{signal[details.method.split('/')[1].rpartition('.')[2]]}"
            headers = dict(details.invocation_metadata)

            def export(body: bytes, _: grpc.ServicerContext) -> bytes:
                sink.take(path, headers, body)
                return b""  # an empty answer of any of the three: all was taken

            return grpc.unary_unary_rpc_method_handler(export)

    server = grpc.server(ThreadPoolExecutor(3))
    server.add_generic_rpc_handlers((Services(),))
    sink.url = f"http://127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
    server.start()
    try:
        yield sink
    finally:
        server.stop(None).wait()
