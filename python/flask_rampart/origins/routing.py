"""Which policy a request is under, found before Flask routes it: by the app's own URL map.

The path is matched by werkzeug itself, with the app's own adapter, so that it means here what it means there: decoded
once, by case, with the app's converters, hosts and subdomains. No second reading of paths can disagree with it
(CVE-2020-25032, CVE-2024-6839, CVE-2024-6844, CVE-2024-6866, all of them of policies that were kept by path). In order:

1. where all views have the same policy, nothing is matched;
2. a path that redirects (a slash at its end that is missing, or two in a row) is under the policy of where it leads: a
   browser follows no redirect of a preflight. What leads elsewhere has no view;
3. a path that has views, and none for the method, is under the policy that they all have; if they differ, under none;
4. what has no view is under the app's own policy, so that the page learns that it got a 404;
5. what cannot be told, since a converter of the app's fails, is under none.

What was found is remembered, for a bounded number of paths, where method, path and host alone decide it: not for the
handshake of a WebSocket, which has rules of its own; not for what was refused; and in no app with a converter that
looks a value up, which may find another one a moment later.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple
from urllib.parse import unquote, urlsplit

from werkzeug.exceptions import HTTPException, MethodNotAllowed, NotFound
from werkzeug.routing import BaseConverter, RequestRedirect
from werkzeug.routing.converters import DEFAULT_CONVERTERS

from .policy import VARY, Fields, Policy

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask
    from werkzeug.routing import MapAdapter, Rule


class _Found(NamedTuple):
    policy: Policy | None
    endpoint: str = ""
    """Of the view that it is the policy of; empty if it is not that of one view."""
    view: Any = None


class Routes:
    """The policies of an app's views.

    :param app: None for an app whose views are not known.
    :param policy: the app's own.
    :param find: gives the policy of an endpoint for a method.
    :param epoch: when it was made (``declarations.epoch``).
    """

    def __init__(
        self,
        app: Flask | None,
        policy: Policy | None,
        find: Callable[[str, str], Policy | None],
        epoch: int,
    ) -> None:
        self._app = app
        self._find = find
        self.epoch = epoch
        #: The app's own, which is everybody's if ``are_alike``.
        self.policy = policy
        found = {policy}
        self._views: dict[str, Any] = {}
        self._by_host = False
        self._remembers = True
        if app is not None:
            self._views = dict(app.view_functions)
            rules = list(app.url_map.iter_rules())
            found.update(
                find(rule.endpoint, method)
                for rule in rules
                if rule.endpoint in self._views
                # A rule that names no methods takes all.
                for method in rule.methods or _ANY_METHOD
            )
            self._by_host = app.url_map.host_matching or app.subdomain_matching
            self._remembers = not any(map(_looks_up, rules))
        #: Whether there is one policy for all, or none.
        self.are_alike = len(found) == 1
        #: What an answer says to a request without ``Origin``.
        self.without: Fields = (VARY,)
        if self.are_alike and policy is None:
            self.without = ()
        elif self.are_alike and policy is not None and policy.any:
            self.without = policy.constant
        # Two generations: whoever makes up paths drives out what nobody has asked for since the last change of them,
        # and nothing that pages ask for all the time.
        self._known: dict[tuple[str, str, str], _Found] = {}
        self._older: dict[tuple[str, str, str], _Found] = {}
        self._has_told = False

    def is_outdated(self, endpoint: str) -> bool:
        """Whether the view function of an endpoint was replaced or added since."""
        return self._app is not None and self._views.get(endpoint) is not self._app.view_functions.get(endpoint)

    def of(self, environ: WSGIEnvironment, method: str) -> Policy | None:
        """The policy of the view that a request with this method is for."""
        if "HTTP_UPGRADE" in environ:
            return self._match(environ, method)[0].policy
        host = f"{environ.get('wsgi.url_scheme')}:{environ.get('HTTP_HOST', '')}" if self._by_host else ""
        key = (method, environ.get("PATH_INFO", ""), host)
        found = self._known.get(key)
        if found is None:
            found = self._older.get(key)
            if found is None:
                return self._learn(key, environ, method)
            self._remember(key, found)
        if found.endpoint and self._app is not None and self._app.view_functions.get(found.endpoint) is not found.view:
            return self._learn(key, environ, method)
        return found.policy

    def _learn(self, key: tuple[str, str, str], environ: WSGIEnvironment, method: str) -> Policy | None:
        found, is_fixed = self._match(environ, method)
        # Who makes up paths gets no more memory than this.
        if is_fixed and self._remembers and sum(map(len, key)) <= _LONGEST_KNOWN:
            self._remember(key, found)
        return found.policy

    def _remember(self, key: tuple[str, str, str], found: _Found) -> None:
        if len(self._known) >= _MOST_KNOWN:
            self._older = self._known
            self._known = {}
        self._known[key] = found

    def _match(self, environ: WSGIEnvironment, method: str) -> tuple[_Found, bool]:
        """What a request is under; and whether another one with its method, path and host is under the same."""
        app = self._app
        if app is None:
            return _Found(self.policy), True
        try:
            return self._route(app, environ, method), True
        except HTTPException:
            # A host or a path that Flask will refuse as well.
            return _Found(self.policy), False
        except Exception as error:
            _logger.debug("A converter failed at the edge: %s", type(error).__name__)
        try:
            # It may want the app, which is at hand when Flask routes.
            with app.app_context():
                return self._route(app, environ, method), True
        except Exception as error:
            if not self._has_told:
                self._has_told = True
                _logger.warning(
                    "CORS: a converter of a route failed at the edge (%s), so what it is for is under no policy. Look "
                    "records up in the view: a converter reads text.",
                    type(error).__name__,
                )
            return _Found(None), False

    def _route(self, app: Flask, environ: WSGIEnvironment, method: str) -> _Found:
        adapter = app.create_url_adapter(app.request_class(environ, populate_request=False))
        return _Found(self.policy) if adapter is None else self._under(app, adapter, None, method)

    def _under(self, app: Flask, adapter: MapAdapter, path: str | None, method: str, hops: int = 0) -> _Found:
        try:
            endpoint, _ = adapter.match(path, method)
        except NotFound:
            return _Found(self.policy)
        except RequestRedirect as redirect:
            target = urlsplit(redirect.new_url)
            root = adapter.script_name.rstrip("/") + "/"
            is_here = target.netloc == adapter.get_host(None) and target.path.startswith(root)
            if hops >= _MOST_HOPS or not is_here:
                return _Found(self.policy)
            return self._under(app, adapter, unquote(target.path[len(root) - 1 :]), method, hops + 1)
        except MethodNotAllowed as error:
            methods = [each for each in error.valid_methods or () if each not in ("HEAD", "OPTIONS")]
            found = {self._under(app, adapter, path, each, hops + 1).policy for each in methods if hops < _MOST_HOPS}
            return _Found(found.pop() if len(found) == 1 else None)
        view = app.view_functions.get(endpoint)
        if view is None:
            return _Found(self.policy)
        return _Found(self._find(endpoint, method), endpoint, view)


def _looks_up(rule: Rule) -> bool:
    """Whether a path that matches a rule now may not match it later: whatever decides it is more than its text."""
    converters = getattr(rule, "_converters", {}).values()
    return any(type(converter).to_python not in _PURE for converter in converters)


_logger = logging.getLogger("flask_rampart")
_BUILT_IN: tuple[type[BaseConverter], ...] = (BaseConverter, *DEFAULT_CONVERTERS.values())
_PURE = frozenset(converter.to_python for converter in _BUILT_IN)
_ANY_METHOD = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
_MOST_KNOWN = 512
_LONGEST_KNOWN = 512
_MOST_HOPS = 4
