"""Access: who may call a view.

``require`` is met when, in this order:

1. the request carries one credential, of a scheme that the view takes, and that scheme accepts it; what
   is present and wrong refuses, and never falls through to another scheme; two are ambiguous (:mod:`.demands`);
2. it comes from an issuer, and was made for an audience, that the view takes;
3. the principal has all of ``scopes``, ``roles`` and ``permissions``, and, where given, one of ``any_scopes``, one of
   ``any_roles`` and one of ``any_permissions`` (:mod:`.permission`, :mod:`.roles`);
4. who it is was proved recently enough (:mod:`.freshness`);
5. every policy admits it (:mod:`.policies`).

Several ``require`` on one view, from its blueprint or from the app are all to be met. Answers carry
the challenge of RFC 6750 section 3.

It does not check credentials: a room that knows a kind of them offers it as a ``Scheme``, and so may the app
(:mod:`.schemes`).
"""

from __future__ import annotations

from .current import Users as Users
from .current import current_principal as current_principal
from .current import current_user as current_user
from .current import has_permission as has_permission
from .current import has_role as has_role
from .current import has_scope as has_scope
from .current import principal_or_none as principal_or_none
from .current import user_or_none as user_or_none
from .demands import public as public
from .demands import require as require
from .identity import Identity as Identity
from .policies import Policies as Policies
from .policies import authorize as authorize
from .policies import may as may
from .roles import RoleBook as RoleBook
from .schemes import CustomScheme as CustomScheme
from .schemes import Schemes as Schemes
from .schemes import check_names as check_names
