"""Limits: how often.

``limit`` admits a request when every limit of its phase has room for it, all or nothing:

1. limits by address and global ones, at ``ARRIVAL``: before a credential is looked at, so that forged
   tokens are stopped before cryptography is spent on them;
2. limits by anything that is known of the caller or the body, at ``QUOTA``: after who it is, before whether they may;
3. the quota of its own that an API key may have, also at ``QUOTA``, wherever ``require`` admits it.

A request that is refused by one of a phase is charged nothing by the others of that phase.

- **What** is counted: requests, or what they cost (``cost=``), or those that fail (``count=``). A cost that is known
  only
  afterwards is reserved before and settled after (``rampart.reserve``), so simultaneous requests cannot overrun a
  quota.
- **How**: rates with a burst (GCRA, ITU-T I.371), windows of the calendar, sliding windows; see ``docs/limits.md``.
- **By whom**: an address, a principal, a claim, a field, several together. A key that comes out empty falls back to the
  address, and without an address to one shared key: never to "no limit".
- **Where**: the counters are shared by all workers of the host, or by all hosts (``RAMPART_LIMIT_STORE``).

Deployment: behind a proxy, ``REMOTE_ADDR`` is the proxy's. Set ``RAMPART_TRUSTED_PROXIES``.
"""

from __future__ import annotations

from .bans import Bans as Bans
from .counters import Counting as Counting
from .counters import Limits as Limits
from .counters import application_limits as application_limits
from .counters import application_penalty as application_penalty
from .counters import quotas_of as quotas_of
from .decorator import is_limited as is_limited
from .decorator import limit as limit
from .decorator import unlimited as unlimited
from .networks import Networks as Networks
from .penalties import Penalty as Penalty
from .penalties import duration as duration
from .reserving import Reservation as Reservation
from .told import announce as announce
from .told import refused as refused
from .watching import Watch as Watch
