"""A record as an event of OCSF 1.8, for a SIEM.

Classes and activities stand in ``events``. What OCSF has a place for goes there; the whole record goes into
``unmapped``, so that nothing is lost. Nothing of it is signed: who has to prove a record uses ``flask rampart audit
prove``.

Source: schema.ocsf.io, version 1.8.0.
"""

from __future__ import annotations

from datetime import datetime, timezone
from typing import Any

from .events import FINDING, HTTP, LIFE, Kind, kind_of

VERSION = "1.8.0"
_METHODS = {"CONNECT": 1, "DELETE": 2, "GET": 3, "HEAD": 4, "OPTIONS": 5, "POST": 6, "PUT": 7, "TRACE": 8, "PATCH": 9}
_EPOCH = datetime(1970, 1, 1, tzinfo=timezone.utc)
_CRITICAL = frozenset(
    ("authn_token_reuse", "audit_tampered", "crypt_decrypt_fail", "session_use_after_expire", "malicious_cors")
)

_SEVERITIES = {"informational": 1, "low": 2, "medium": 3, "high": 4, "critical": 5}


def event_of(record: dict[str, Any], product: str) -> dict[str, Any]:
    """The record as an OCSF event.

    :param product: the app's name.
    """
    # What the monitor found has the name of what was done, and is a finding all the same.
    kind = FINDING if "finding" in record else kind_of(record["event"])
    activity, activity_name = _activity(kind, record)
    refused = record.get("decision") == "refused"
    failed = refused or record["event"].endswith("_fail") or (record.get("status") or 0) >= 400
    severity = 1 if not failed else 3
    if kind.class_uid == FINDING.class_uid:
        severity = 4 if record["event"] in _CRITICAL else 3
        severity = _SEVERITIES.get(str(record.get("severity")), severity)
    event: dict[str, Any] = {
        "activity_id": activity,
        "activity_name": activity_name,
        "category_uid": kind.class_uid // 1000,
        "class_uid": kind.class_uid,
        "class_name": kind.class_name,
        "type_uid": kind.class_uid * 100 + activity,
        "time": _milliseconds(record["time"]),
        "severity_id": severity,
        "status_id": 2 if failed else 1,
        "metadata": {
            "version": VERSION,
            "product": {"name": product, "vendor_name": "Flask-Rampart"},
            "uid": f"{record['writer']}-{record['seq']}",
            "event_code": record["event"],
        },
        "unmapped": record,
    }
    if "code" in record:
        event["status_code"] = record["code"]
    if "reason" in record:
        event["status_detail"] = record["reason"]
    if "request_id" in record:
        event["metadata"]["correlation_uid"] = record["request_id"]
    if "duration_us" in record:
        event["duration"] = round(record["duration_us"] / 1000)
    _who(event, kind, record)
    _what(event, kind, record, product)
    return event


def _who(event: dict[str, Any], kind: Kind, record: dict[str, Any]) -> None:
    name = record.get("subject") or record.get("principal")
    user = {"uid": name, "type_id": 1} if name else {"name": "unknown", "type_id": 0}
    if kind.class_uid in (3001, 3002, 3003):
        event["user"] = user
    acting = record.get("principal")
    if kind.class_uid == 6003 or acting:
        event["actor"] = {"user": {"uid": acting, "type_id": 1}} if acting else {"app_name": "anonymous"}
    if record.get("address"):
        event["src_endpoint"] = {"ip": record["address"]}
    elif kind.class_uid in (6003, 4002):
        event["src_endpoint"] = {"name": "unknown"}


def _what(event: dict[str, Any], kind: Kind, record: dict[str, Any], product: str) -> None:
    if "target" in record:
        event["http_request"] = {"http_method": record.get("method", ""), "url": {"path": record["target"]}}
    if "status" in record:
        event["http_response"] = {"code": record["status"]}
        if record.get("bytes") is not None:
            event["http_response"]["body_length"] = record["bytes"]
    if kind.class_uid == HTTP.class_uid:
        event["dst_endpoint"] = {"svc_name": product}
    elif kind.class_uid == LIFE.class_uid:
        event["app"] = {"name": product, "vendor_name": "Flask-Rampart"}
    elif kind.class_uid == FINDING.class_uid:
        event["finding_info"] = {"title": record.get("finding", record["event"]), "uid": event["metadata"]["uid"]}
        if record.get("detection_point"):
            event["finding_info"]["types"] = [f"AppSensor {record['detection_point']}"]
    elif kind.class_uid == 6003:
        event["api"] = {"operation": record["event"], "service": {"name": product}}
        if "resource" in record:
            event["resources"] = [{"name": record["resource"]}]


def _activity(kind: Kind, record: dict[str, Any]) -> tuple[int, str]:
    if kind is HTTP:
        method = record.get("method")
        number = _METHODS.get(method) if isinstance(method, str) else None
        if number is not None:
            return number, str(method).capitalize()
    return kind.activity_id, kind.activity_name


def _milliseconds(text: str) -> int:
    time = datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=timezone.utc)
    # Whole numbers: a float would lose the last digit.
    since = time - _EPOCH
    return since.days * 86_400_000 + since.seconds * 1000 + since.microseconds // 1000
