"""Whole files, treated by a plan: what ``flask rampart anonymize`` does.

:class:`Job` says what is to be treated and how; its ``run`` does it. The formats are in ``anonymize/formats``.
"""

from __future__ import annotations

from .errors import FileRefused as FileRefused
from .errors import InputChanged as InputChanged
from .errors import OutputBusy as OutputBusy
from .errors import ResumeRefused as ResumeRefused
from .known import FORMATS as FORMATS
from .run import Job as Job
from .run import Outcome as Outcome
from .run import Progress as Progress
from .run import read_plan as read_plan
