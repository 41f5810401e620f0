"""Monitoring: sees an attack while it runs, tells people, and responds.

Detectors (``detectors``) count what requests were, in a table that the workers of a host share. What they find is told
(``service``) by an audit record, a log line, a signal and a signed webhook (``webhooks``), and in ``"enforce"`` mode
answered (``responses``). See ``docs/monitor.md``.
"""

from __future__ import annotations

from .catalogue import DETECTORS as DETECTORS
from .catalogue import Detectors as Detectors
from .declaring import Declared as Declared
from .declaring import Monitoring as Monitoring
from .detectors import Detector as Detector
from .findings import Finding as Finding
from .findings import stamp as stamp
from .logins import Login as Login
from .reading import read_file as read_file
from .replaying import access_lines as access_lines
from .replaying import replay as replay
from .replaying import seconds as seconds
from .replaying import sights_of as sights_of
from .responses import Heeds as Heeds
from .service import Monitor as Monitor
from .service import close_all as close_all
from .webhooks import Webhook as Webhook
