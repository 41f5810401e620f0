"""Origins: which pages of which sites may make a browser send what, and which may read what this app answers.

:mod:`.cors` lets pages of other origins read answers; :mod:`.csrf` refuses what a page of another site made a browser
send in its user's name; :mod:`.csrf_token` is the older proof that a page is ours. An origin is read in :mod:`.origin`.
Which origins are meant by a list is decided in ``src/origins``.
"""

from __future__ import annotations

from .cors import Cors as Cors
from .cors import cors as cors
from .csrf import CsrfPolicy as CsrfPolicy
from .csrf import csrf as csrf
from .csrf import is_by_token as is_by_token
from .csrf import refuse_plain as refuse_plain
from .csrf import trusted_origins as trusted_origins
from .csrf_token import csrf_token as csrf_token
from .origin import Page as Page
from .origin import page_of as page_of
