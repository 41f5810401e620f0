"""Origins: which pages of other origins may read what this app answers (``cors``).

Which origins are meant is decided in ``src/origins``.
"""

from __future__ import annotations

from .cors import Cors as Cors
from .cors import cors as cors
