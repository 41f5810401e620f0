"""Flask-Rampart: secures a Flask API in process.

Who may call (``require``, ``public``), how often (``limit``), with what (``validate``), and for every answer
secure headers, a redacted access log and problems by RFC 9457. ``clean_html`` and its kin clean what a peer
wrote, for the place where it goes. Rust decides; this package speaks Flask.

Start with :class:`Rampart`.
"""

from __future__ import annotations

from . import cookies as cookies
from . import outbound as outbound
from . import signals as signals
from ._native import Clock as Clock
from .access import Identity as Identity
from .access import current_principal as current_principal
from .access import current_user as current_user
from .access import has_permission as has_permission
from .access import has_role as has_role
from .access import has_scope as has_scope
from .access import principal_or_none as principal_or_none
from .access import public as public
from .access import require as require
from .access import user_or_none as user_or_none
from .apikeys import KeyInfo as KeyInfo
from .apikeys import NewKey as NewKey
from .audit import AuditUnavailable as AuditUnavailable
from .audit import audit as audit
from .clearing import clear_site_data as clear_site_data
from .config import Settings as Settings
from .delegation import Actor as Actor
from .delegation import is_actor as is_actor
from .delegation import principal_actors as principal_actors
from .delegation import principal_client as principal_client
from .edge import EdgePolicy as EdgePolicy
from .edge import RampartMiddleware as RampartMiddleware
from .errors import ConfigError as ConfigError
from .errors import Denied as Denied
from .errors import IntegrityError as IntegrityError
from .errors import RampartError as RampartError
from .exchange import Principal as Principal
from .extension import Rampart as Rampart
from .guards import Guard as Guard
from .guards import Stage as Stage
from .headers import csp_hash as csp_hash
from .headers import csp_nonce as csp_nonce
from .headers import headers as headers
from .issuers import IntrospectedToken as IntrospectedToken
from .limits import Reservation as Reservation
from .limits import limit as limit
from .limits import unlimited as unlimited
from .monitor import Detector as Detector
from .monitor import Finding as Finding
from .openapi import describe as describe
from .origins import cors as cors
from .origins import csrf as csrf
from .origins import csrf_token as csrf_token
from .redaction import RedactingFormatter as RedactingFormatter
from .redaction import Redactor as Redactor
from .redaction import redact as redact
from .reports import ReportGroup as ReportGroup
from .sanitize import HtmlPolicy as HtmlPolicy
from .sanitize import clean_html as clean_html
from .sanitize import clean_text as clean_text
from .sanitize import csv_cell as csv_cell
from .sanitize import safe_filename as safe_filename
from .sanitize import safe_redirect as safe_redirect
from .stores import StoreError as StoreError
from .uploads import Archive as Archive
from .uploads import Upload as Upload
from .uploads import UploadedFile as UploadedFile
from .validation import bounds as bounds
from .validation import validate as validate
from .validation import validated as validated
from .vault import Keyset as Keyset
from .vault import Vault as Vault

__version__ = "0.1.0"
