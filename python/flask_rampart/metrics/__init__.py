"""Metrics: how often, in all workers of the host together.

The table and its text are in Rust (``src/metrics``). Here:

- ``service``: ``rampart.metrics``: opens the table where it is wanted, and has what the app does counted;
- ``serving``: the endpoint that a scraper asks, and what guards it;
- ``spans``: what an active OpenTelemetry span is told.

It decides nothing but who may scrape. See ``docs/metrics.md``.
"""

from __future__ import annotations

from .service import Metrics as Metrics
from .serving import ENDPOINT as ENDPOINT
from .serving import metrics_token as metrics_token
from .spans import trace_refusals as trace_refusals
