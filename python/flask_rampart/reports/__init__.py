"""Reports: what browsers say of a page that did what its policies forbid, collected and grouped.

``RAMPART_REPORTS = "/reports"``:

1. every Content-Security-Policy of the app, and its cross-origin opener and embedder policies, name that address (by
   the ``HeaderPolicy``, at start-up: see ``src/headers/reporting.rs``);
2. a view there takes POST of ``application/reports+json`` and ``application/csp-report``: from everybody, without a
   credential, since browsers send none. It has a limit by address and a bound of bytes of its own, parses strictly, and
   answers 204, or a problem; nothing of a report is ever sent back;
3. what is read (``reading``) is counted in groups (``table``) that all workers share (``keeping``);
4. ``rampart.reports.list()`` and ``flask rampart csp-report`` show them.

It trusts no report: whoever can reach the app can make one up. See ``docs/reports.md`` for what that can do, and what
not.

Deployment: behind a proxy, ``REMOTE_ADDR`` and ``Host`` must be the client's (``RAMPART_TRUSTED_PROXIES``), or all
reports have one sender, or are foreign.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from flask import Response, current_app, request
from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import RequestRedirect

from .._native import JsonBounds, JsonRejected, client_key, parse_json
from ..config import Settings
from ..errors import ConfigError, Denied
from ..signals import browser_reported, emit
from .advice import advice
from .keeping import Keeper
from .reading import Reader
from .table import Group

if TYPE_CHECKING:
    from flask import Flask

    from .._native import Clock, Redactor
    from ..stores import Records

__all__ = ["ENDPOINT", "MAX_BODY", "QUOTA", "TYPES_TAKEN", "ReportGroup", "Reports", "address_of"]

ENDPOINT = "rampart_reports"
MAX_BODY = 64 * 1024
"""Bytes of one request: a page with a few dozen violations, each with the whole policy in it."""
QUOTA = "60/minute burst 30"
"""Of requests, for each address; a browser gathers its reports of a minute or so."""
TYPES_TAKEN = ("application/reports+json", "application/csp-report")
_JSON = JsonBounds(max_bytes=MAX_BODY, max_depth=8, max_keys=4096, max_digits=32)


@dataclass(frozen=True)
class ReportGroup:
    """Reports that say the same. All of its texts are printable ASCII and mean nothing to HTML, a spreadsheet or a
    terminal; what they say is a stranger's word all the same."""

    id: str
    type: str
    """``"csp-violation"``, ``"deprecation"``, ``"coep"`` and so on."""
    disposition: str
    """``"enforce"``: it was blocked; ``"report"``: it would have been."""
    directive: str
    """The directive; of other types, the feature or reason."""
    blocked: str
    """An origin, ``"self"``, a scheme such as ``"data:"``, or a keyword such as ``"inline"``."""
    page: str
    """The route, such as ``"/users/{id}"``, or ``"(no route)"``."""
    source: str
    """The origin of the script that did it, ``"self"``, or ``""``."""
    count: int
    """Reports; anybody can add to it."""
    clients: int
    """How many clients sent them, eight and more about, up to 200: what to go by."""
    first_seen: float
    """Seconds since 1970-01-01 UTC."""
    last_seen: float
    sample: Mapping[str, str | int]
    """Of the first report, redacted: ``blocked``, ``source``, ``line``, ``column``, ``script``; what there was."""
    hint: str
    """What to change."""


class Reports:
    """The collector of one app.

    :param path: where it is.
    :param strict_dynamic: whether the app's policy has ``'strict-dynamic'``.
    """

    def __init__(
        self,
        settings: Settings,
        app: Flask,
        clock: Clock,
        records: Records,
        redactor: Redactor,
        path: str,
        *,
        strict_dynamic: bool,
    ) -> None:
        self.path = path
        #: The app's time, in seconds since 1970-01-01 UTC.
        self.now = clock.now
        self._app = app
        self._strict_dynamic = strict_dynamic
        self._prefix = settings.ipv6_prefix
        self._hosts = settings.reports_hosts
        self._redactor = redactor
        self._keeper = Keeper(
            records,
            clock.now,
            settings.reports_keep,
            at_once=lambda: app.testing,
            tell=self._tell,
            logger=app.logger,
        )

    def list(self, *, since: float | None = None) -> list[ReportGroup]:
        """The groups, those that most clients reported first.

        :param since: seconds since 1970-01-01 UTC: only groups that were reported after that.
        :raises StoreError: if the records cannot be read.
        """
        groups = [
            self._shown(key, group)
            for key, group in self._keeper.table().groups.items()
            if since is None or group.last >= since
        ]
        return sorted(groups, key=lambda group: (-group.clients, -group.count, group.id))

    def apart(self) -> dict[str, int]:
        """How many reports were counted and not kept: ``"extension"``, ``"foreign"``, ``"unknown"``, and ``"replaced"``
        for those of groups that made room for others.

        :raises StoreError: if the records cannot be read.
        """
        return dict(sorted(self._keeper.table().apart.items()))

    def clear(self) -> None:
        """Forgets all groups.

        :raises StoreError: if the records cannot be written.
        """
        self._keeper.clear()

    def flush(self) -> None:
        """Writes what this worker has counted, now."""
        self._keeper.flush()

    def serve(self, app: Flask, mark: Callable[[Any], Any]) -> None:
        """Gives *app* the route.

        :param mark: puts guards on the view: what is open, bounded and limited is not this room's to say.
        """
        # Without a host, a rule of an app that matches hosts would match none.
        options: dict[str, Any] = {"host": "<rampart_host>"} if app.url_map.host_matching else {}
        app.add_url_rule(
            self.path,
            ENDPOINT,
            mark(self._view()),
            methods=["POST", "OPTIONS"],
            provide_automatic_options=False,
            strict_slashes=False,
            **options,
        )

    def seal(self, app: Flask) -> None:
        """Refuses another route there. Before the first request.

        :raises ConfigError: if the app has one.
        """
        for rule in app.url_map.iter_rules():
            served = "POST" in (rule.methods or ("POST",)) and not rule.build_only
            if rule.endpoint != ENDPOINT and served and rule.rule.rstrip("/") == self.path.rstrip("/"):
                raise ConfigError(
                    f"{rule.endpoint} has the route {rule.rule}, where RAMPART_REPORTS collects what browsers report. "
                    "Remove it, or choose another path."
                )

    def _view(self) -> Callable[..., Response]:
        def reports(**_: str) -> Response:
            return self._take()

        return reports

    def _take(self) -> Response:
        if request.method == "OPTIONS":
            # The Reporting API asks before it reports to another origin; there is nothing to learn from the answer.
            return Response(status=204, headers=_PREFLIGHT)
        try:
            document = parse_json(request.get_data(cache=False), _JSON)
        except JsonRejected as rejected:
            raise Denied.of(rejected.code, reason="a report") from None
        reader = Reader(self._routes(), self._is_ours(request.host), self._redactor.redact)
        found = reader.read(document)
        if found is None:
            raise Denied.of("body.invalid", reason="no report")
        address = request.environ.get("REMOTE_ADDR") or ""
        self._keeper.count(list(found), client_key(address, self._prefix))
        return Response(status=204, headers=_ANSWER)

    def _is_ours(self, host: str) -> Callable[[str], bool]:
        here = _without_port(host)
        hosts = self._hosts

        def is_ours(authority: str) -> bool:
            found = _without_port(authority)
            if found == here:
                return True
            name = found.rpartition(":")[0] if found.rpartition(":")[2].isdigit() else found
            return any(name.endswith(one[1:]) if one.startswith("*.") else name == one for one in hosts)

        return is_ours

    def _routes(self) -> Callable[[str], str | None]:
        """Gives the rule that a page of a path has."""
        adapter = current_app.create_url_adapter(request)

        def route_of(path: str) -> str | None:
            if adapter is None or len(path) > _MOST_PATH:
                return None
            path = unquote(path)
            one, method = path, "GET"
            # Each look-up runs the app's converters, which may ask a database: few for a page, and one for most.
            for _ in range(_MOST_LOOKS):
                try:
                    rule, _values = adapter.match(one, method=method, return_rule=True)
                except RequestRedirect:
                    one = f"{path}/"
                except MethodNotAllowed:
                    method = "POST"
                except Exception:
                    # None there, or a converter that fails at a made-up path: no request came to it.
                    return None
                else:
                    return str(rule.rule)
            return None

        return route_of

    def _tell(self, key: str, group: Group) -> None:
        emit(browser_reported, self._app, group=self._shown(key, group))

    def _shown(self, key: str, group: Group) -> ReportGroup:
        return ReportGroup(
            key,
            group.type,
            group.disposition,
            group.directive,
            group.blocked,
            group.page,
            group.source,
            group.count,
            group.clients,
            group.first,
            group.last,
            MappingProxyType(dict(group.sample)),
            advice(group.type, group.directive, group.blocked, strict_dynamic=self._strict_dynamic),
        )


def address_of(settings: Settings, root: str = "/") -> str | None:
    """Where browsers are told to report to: a path, or a URL that somebody else collects at. None: nowhere.

    :param root: the path that the app is under (``APPLICATION_ROOT``).
    :raises ConfigError: for a setting that needs a collector, without one.

    >>> address_of(Settings(reports="/reports"), "/shop")
    '/shop/reports'
    """
    reports = settings.reports
    if settings.reports_hosts and (reports is None or not reports.startswith("/")):
        raise ConfigError(
            'RAMPART_REPORTS_HOSTS is about reports that this app collects: set RAMPART_REPORTS = "/reports".'
        )
    if reports is None or not reports.startswith("/"):
        return reports
    return root.rstrip("/") + reports


def _without_port(authority: str) -> str:
    """A host without the port that is its scheme's, whichever that is: a proxy may speak another."""
    return authority.lower().removesuffix(":443").removesuffix(":80")


_MOST_PATH = 2048
_MOST_LOOKS = 3
"""With a slash at its end, and as a POST; then it has been found."""
_ANSWER = {"Access-Control-Allow-Origin": "*"}
_PREFLIGHT = {
    **_ANSWER,
    "Access-Control-Allow-Methods": "POST",
    "Access-Control-Allow-Headers": "content-type",
    "Access-Control-Max-Age": "7200",
}
