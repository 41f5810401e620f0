"""A sink that gives records to OpenTelemetry, where it is installed.

1. Where the app has set a logger provider (``set_logger_provider``), records go to it; what its processors drop, they
   count.
2. Otherwise to an OTLP exporter over HTTP, set up by the ``OTEL_EXPORTER_OTLP_*`` variables, in batches; one that is
   refused is sent again.
3. A record's body is its whole line, link and all, with its writer in front; ``event_name`` is its event, and the
   attributes are ``rampart.audit.writer`` and ``rampart.audit.seq``.

Nothing of OpenTelemetry is imported before it is needed.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
from collections.abc import Sequence
from datetime import datetime, timezone
from typing import Any

from ..errors import ConfigError
from .syslog import with_writer

_OTLP = "opentelemetry.exporter.otlp.proto.http._log_exporter"
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)


def check() -> None:
    """Whether what is needed is installed.

    :raises ConfigError: if it is not, with the cure.
    """
    if not (_has("opentelemetry._logs") and _has("opentelemetry.sdk._logs")):
        raise ConfigError(
            'RAMPART_AUDIT_SINKS: "otlp" needs OpenTelemetry: pip install opentelemetry-sdk '
            "opentelemetry-exporter-otlp-proto-http"
        )


class OpenTelemetry:
    """Gives records to OpenTelemetry.

    :param exporter: what takes them where the app has set no provider; None for OTLP over HTTP.
    """

    name = "otlp"
    only_checkpoints = False

    def __init__(self, app_name: str, exporter: Any = None) -> None:
        self.unfit = 0
        self._app_name = app_name
        self._exporter = exporter
        self._logger: Any = None
        self._gathered: list[Any] | None = None

    def deliver(self, writer: str, lines: Sequence[bytes]) -> int:
        """Sends lines; see :class:`~.courier.Sink`."""
        if self._logger is None:
            self._open()
        if self._gathered is not None:
            self._gathered.clear()
        for line in lines:
            self._emit(writer, line)
        if self._gathered is not None:
            from opentelemetry.sdk._logs.export import LogRecordExportResult

            if self._exporter.export(list(self._gathered)) is not LogRecordExportResult.SUCCESS:
                raise OSError("the OTLP exporter could not send them")
        return len(lines)

    def close(self) -> None:
        """Ends the exporter, if it is ours."""
        if self._gathered is not None:
            self._exporter.shutdown()

    def _open(self) -> None:
        from opentelemetry._logs import get_logger_provider
        from opentelemetry.sdk import _logs as sdk
        from opentelemetry.sdk.resources import Resource

        provider: Any = get_logger_provider()
        if self._exporter is not None or not isinstance(provider, sdk.LoggerProvider):
            if self._exporter is None:
                self._exporter = importlib.import_module(_OTLP).OTLPLogExporter()
            gathered: list[Any] = []

            class Gathering(sdk.LogRecordProcessor):
                def on_emit(self, log_record: Any) -> None:
                    gathered.append(
                        sdk.ReadableLogRecord(
                            log_record=log_record.log_record,
                            resource=log_record.resource,
                            instrumentation_scope=log_record.instrumentation_scope,
                            limits=log_record.limits,
                        )
                    )

                def shutdown(self) -> None:
                    gathered.clear()

                def force_flush(self, timeout_millis: int = 30000) -> bool:
                    return True

            provider = sdk.LoggerProvider(Resource.create({"service.name": self._app_name}), shutdown_on_exit=False)
            provider.add_log_record_processor(Gathering())
            self._gathered = gathered
        self._logger = provider.get_logger("flask_rampart.audit")

    def _emit(self, writer: str, line: bytes) -> None:
        from opentelemetry._logs import LogRecord, SeverityNumber

        record = json.loads(line)
        event = record["event"]
        if event == "audit_tampered":
            severity = SeverityNumber.FATAL
        elif record.get("decision") == "refused" or event.endswith("_fail"):
            severity = SeverityNumber.WARN
        else:
            severity = SeverityNumber.INFO
        self._logger.emit(
            LogRecord(
                timestamp=_nanoseconds(record["time"]),
                severity_number=severity,
                body=with_writer(writer, line).decode("utf-8", "replace").rstrip("\n"),
                attributes={"rampart.audit.writer": writer, "rampart.audit.seq": record["seq"]},
                event_name=event,
            )
        )


def _nanoseconds(text: str) -> int:
    since = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc) - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000


def _has(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ImportError:
        return False
