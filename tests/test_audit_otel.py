"""The audit log's sink for OpenTelemetry, with the real SDK."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, LogRecordExportResult, SimpleLogRecordProcessor

from flask_rampart import audit, public
from flask_rampart.audit import log as logs
from flask_rampart.audit import otel
from flask_rampart.audit.otel import OpenTelemetry

from .auditing import App, log_of, make

__all__ = ["make"]

LINE = b'{"seq":7,"time":"2026-11-29T10:00:00.000001Z","event":"authz_fail","decision":"refused","link":"x"}\n'


def test_each_record_arrives_with_its_line() -> None:
    exporter = InMemoryLogRecordExporter()
    sink = OpenTelemetry("shop", exporter)
    assert sink.deliver("5f0c", [LINE, LINE]) == 2
    found = exporter.get_finished_logs()
    assert len(found) == 2
    record = found[0].log_record
    assert record.body == '{"writer":"5f0c",' + LINE.decode().rstrip("\n")[1:]
    assert record.timestamp == 1_795_946_400_000_001_000
    assert dict(record.attributes or {}) == {"rampart.audit.writer": "5f0c", "rampart.audit.seq": 7}
    assert record.severity_number is not None
    assert (record.event_name, record.severity_number.name) == ("authz_fail", "WARN")
    assert found[0].resource.attributes["service.name"] == "shop"
    sink.close()


def test_what_the_exporter_does_not_take_is_an_error_and_comes_again() -> None:
    class Failing(InMemoryLogRecordExporter):
        trials = 0

        def export(self, batch):  # type: ignore[no-untyped-def]
            self.trials += 1
            return LogRecordExportResult.FAILURE if self.trials == 1 else super().export(batch)

    exporter = Failing()
    sink = OpenTelemetry("shop", exporter)
    with pytest.raises(OSError, match="OTLP"):
        sink.deliver("5f0c", [LINE])
    assert sink.deliver("5f0c", [LINE]) == 1
    assert len(exporter.get_finished_logs()) == 1


def test_an_app_that_names_it_sends_all_that_stands_in_its_log(make: App, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemoryLogRecordExporter()
    monkeypatch.setattr(logs, "opened", lambda *_: [OpenTelemetry("shop", exporter)])
    app = make(RAMPART_AUDIT_SINKS=["otlp"])
    app.get("/look")(public(audit("look")(lambda: "x")))
    app.test_client().get("/look")
    log = log_of(app)
    log.check(app)
    writer = log.writer
    log.close()
    (path,) = log.directory.glob("*-*.jsonl")
    lines = path.read_text().splitlines()
    bodies = [one.log_record.body for one in exporter.get_finished_logs()]
    assert bodies == [f'{{"writer":"{writer}",{line[1:]}' for line in lines]


def test_without_a_provider_of_the_apps_records_go_by_otlp(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[InMemoryLogRecordExporter] = []

    def exporter() -> InMemoryLogRecordExporter:
        made.append(InMemoryLogRecordExporter())
        return made[-1]

    # The exporter itself brings a client of HTTP, which nothing else here needs.
    monkeypatch.setitem(sys.modules, otel._OTLP, SimpleNamespace(OTLPLogExporter=exporter))  # type: ignore[arg-type]
    sink = OpenTelemetry("shop")
    for _ in range(2):
        assert sink.deliver("5f0c", [LINE]) == 1
    assert [len(one.get_finished_logs()) for one in made] == [2]
    sink.close()


def test_a_provider_that_the_app_has_set_gets_the_records(monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    # What set_logger_provider() does, which can be done once in a process.
    monkeypatch.setattr("opentelemetry._logs.get_logger_provider", lambda: provider)
    sink = OpenTelemetry("shop")
    assert sink.deliver("5f0c", [LINE]) == 1
    sink.close()
    assert [one.log_record.event_name for one in exporter.get_finished_logs()] == ["authz_fail"]
