"""Which policy a request is under, found before Flask routes it: by the app's own URL map.

The path is matched by werkzeug itself, with the app's own adapter, so that it means here what it means there: decoded
once, by case, with the app's converters, hosts and subdomains. No second reading of paths can disagree with it
(CVE-2020-25032, CVE-2024-6839, CVE-2024-6844, CVE-2024-6866, all of them of policies that were kept by path). In order:

1. where all views have the same policy, nothing is matched;
2. a path that redirects (a slash at its end that is missing, or two in a row) is under the policy of where it leads: a
   browser follows no redirect of a preflight;
3. a path that has views, and none for the method, is under the policy that they all have; if they differ, under none;
4. what has no view is under the app's own policy, so that the page learns that it got a 404.

What was found is remembered, for a bounded number of paths.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from werkzeug.exceptions import MethodNotAllowed
from werkzeug.routing import RequestRedirect

from .policy import VARY, Fields, Policy

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIEnvironment
    from flask import Flask
    from werkzeug.routing import MapAdapter


class Routes:
    """The policies of an app's views.

    :param app: None for an app whose views are not known.
    :param policy: the app's own.
    :param find: gives the policy of an endpoint for a method.
    """

    def __init__(self, app: Flask | None, policy: Policy | None, find: Callable[[str, str], Policy | None]) -> None:
        self._app = app
        self._find = find
        #: The app's own, which is everybody's if ``are_alike``.
        self.policy = policy
        found = {policy}
        self._by_host = False
        if app is not None:
            found.update(
                find(rule.endpoint, method)
                for rule in app.url_map.iter_rules()
                if rule.endpoint in app.view_functions
                for method in rule.methods or ("GET",)
            )
            self._by_host = app.url_map.host_matching or app.subdomain_matching
        #: Whether there is one policy for all, or none.
        self.are_alike = len(found) == 1
        #: What an answer says to a request without ``Origin``.
        self.without: Fields = (VARY,)
        if self.are_alike and policy is None:
            self.without = ()
        elif self.are_alike and policy is not None and policy.any:
            self.without = policy.constant
        self._known: dict[tuple[str, str, str], Policy | None] = {}

    def of(self, environ: WSGIEnvironment, method: str) -> Policy | None:
        """The policy of the view that a request with this method is for."""
        host = environ.get("HTTP_HOST", "") if self._by_host else ""
        key = (method, environ.get("PATH_INFO", ""), host)
        try:
            return self._known[key]
        except KeyError:
            pass
        policy = self._match(environ, method)
        # Who makes up paths gets no more memory than this.
        if sum(map(len, key)) <= _LONGEST_KNOWN:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[key] = policy
        return policy

    def _match(self, environ: WSGIEnvironment, method: str) -> Policy | None:
        app = self._app
        try:
            if app is None:
                return self.policy
            adapter = app.create_url_adapter(app.request_class(environ, populate_request=False))
            return self.policy if adapter is None else self._under(adapter, None, method)
        except Exception:
            # A host or a path that Flask will refuse as well, or a converter of the app's that fails: there is no view.
            return self.policy

    def _under(self, adapter: MapAdapter, path: str | None, method: str, hops: int = 0) -> Policy | None:
        try:
            endpoint, _ = adapter.match(path, method)
        except RequestRedirect as redirect:
            target = urlsplit(redirect.new_url)
            root = adapter.script_name.rstrip("/")
            if hops >= _MOST_HOPS or not target.path.startswith(root):
                return self.policy
            return self._under(adapter, unquote(target.path[len(root) :]), method, hops + 1)
        except MethodNotAllowed as error:
            methods = [each for each in error.valid_methods or () if each not in ("HEAD", "OPTIONS")]
            found = {self._under(adapter, path, each, hops + 1) for each in methods if hops < _MOST_HOPS}
            return found.pop() if len(found) == 1 else None
        if self._app is None or endpoint not in self._app.view_functions:
            return self.policy
        return self._find(endpoint, method)


_MOST_KNOWN = 1024
_LONGEST_KNOWN = 512
_MOST_HOPS = 4
