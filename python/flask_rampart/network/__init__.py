"""The network's edge: who a request is from, whom it is for, and whether it came by HTTPS.

``peers`` settles who the peer is; ``transport`` puts the rest together: ``hosts``, ``https``, ``hsts``.
"""

from .hosts import Trusted as Trusted
from .hosts import trusted_hosts as trusted_hosts
