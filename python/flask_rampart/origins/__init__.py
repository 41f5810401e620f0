"""Origins: which pages of which sites may make a browser send what.

:mod:`.csrf` refuses what a page of another site made a browser send in its user's name; :mod:`.csrf_token` is the
older proof that a page is ours. An origin is read in :mod:`.origin`.
"""

from __future__ import annotations

from .csrf import CsrfPolicy as CsrfPolicy
from .csrf import csrf as csrf
from .csrf_token import csrf_token as csrf_token
