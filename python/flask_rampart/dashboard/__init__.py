"""The dashboard: one page that shows what the guards of an app are doing now.

``app.register_blueprint(Dashboard(require(roles="admin")))`` puts it at ``/rampart/``. See ``docs/dashboard.md``.

- ``board``: the blueprint, its guards and its views; the stream of events;
- ``overview``: what is shown, as plain data: the page, ``flask rampart top`` and a script read the same;
- ``static``: the page, its style and its script. Nothing comes from elsewhere.
"""

from __future__ import annotations

from .board import Dashboard as Dashboard
from .overview import overview as overview
