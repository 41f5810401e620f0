"""Validation: with what.

What a request brings reaches a guarded view when, in this order:

1. what is text in it (path, query, headers, cookies, a form) has the types and the shape of its schema: ``parts.py``;
2. the body is there whole, of a media type that is read, well-formed and bounded: ``bodies.py``;
3. it has the shape of the JSON Schema, drafts 4 to 2020-12; formats are asserted, ``$ref`` never leaves
   the document, patterns are matched in linear time;
4. if a model was given instead of a schema, it makes an instance of it: ``models.py``.

What the view answers is judged in the same way: ``responses.py``.

The errors name the part, the place in it (a JSON Pointer, RFC 6901) and the rule, never the value.
"""

from .bodies import Bounds as Bounds
from .bodies import hardened as hardened
from .bounded import RouteBounds as RouteBounds
from .bounded import bounds as bounds
from .declared import validate as validate
from .messages import Messages as Messages
from .models import is_model as is_model
from .models import json_schema as json_schema
from .offered import Offered as Offered
from .offered import Offering as Offering
from .reading import Validated as Validated
from .reading import validated as validated
