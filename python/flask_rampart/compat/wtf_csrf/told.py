"""Which views are asked for a token, for those who look: ``flask rampart check``."""

from __future__ import annotations

from ...guards import Guard, Stage


class Told(Guard):
    """That a token is asked for. The face asks, before the view."""

    name = "csrf"
    stage = Stage.IDENTITY
    asks_itself = True
    is_everywhere = True
    mode = "token"

    def __repr__(self) -> str:
        return "CSRFProtect"


TOLD = Told()
