"""Uploads: forms that are well formed, and files that are what they may be.

1. ``request.form`` and ``request.files`` of every view are read by one strict, bounded parser: ``forms.py``; files wait
   in memory or on disk: ``spool.py``.
2. ``validate(files=...)`` takes files by what is in them: ``demands.py``; a view gets them as in ``files.py``.
"""

from .demands import Archive as Archive
from .demands import Upload as Upload
from .demands import files_reader as files_reader
from .files import UploadedFile as UploadedFile
from .files import names_of_chosen as names_of_chosen
from .forms import FormBounds as FormBounds
from .forms import FormParser as FormParser
from .forms import checked_form as checked_form
from .forms import form_parser as form_parser
from .forms import load_form as load_form
from .forms import must_parse as must_parse
from .forms import open_file as open_file
