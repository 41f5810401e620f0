"""What is sent with answers, for those who look: ``flask rampart check``."""

from __future__ import annotations

from ...guards import Guard, Stage


class Told(Guard):
    """The fields of one view, or of all that say nothing. The face adds them when the view has answered.

    :param csp: the Content-Security-Policy that is sent instead of the profile's; None if there is none.
    :param forces_https: whether a request by plain HTTP is sent on.
    """

    name = "talisman"
    stage = Stage.ARRIVAL
    asks_itself = True

    def __init__(self, csp: str | None, *, forces_https: bool, is_everywhere: bool) -> None:
        self.csp = csp
        self.forces_https = forces_https
        self.is_everywhere = is_everywhere

    def __repr__(self) -> str:
        return "Talisman" if self.is_everywhere else "talisman(...)"
