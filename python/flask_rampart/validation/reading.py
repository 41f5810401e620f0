"""What a view reads of its checked input; what it has declared of it is in ``declared``."""

from __future__ import annotations

from typing import Any

from ..exchange import NOT_CHECKED
from ..guards import current_exchange
from ..uploads import UploadedFile


class Validated:
    """What was checked of the current request."""

    @property
    def body(self) -> Any:
        """The body, as Python objects, or as the instance of its model.

        :raises RuntimeError: if the view has no ``@validate(body=...)``.
        """
        exchange = current_exchange()
        if exchange.body is NOT_CHECKED:
            raise RuntimeError("validated.body: this view does not have @validate(body=...).")
        return exchange.parts.get("body", exchange.body)

    @property
    def query(self) -> Any:
        """What stood behind the question mark: a dict by name, or the instance of its model; so with the other parts.

        :raises RuntimeError: if the view has no ``@validate(query=...)``; so with the other parts.
        """
        return self._part("query")

    @property
    def path(self) -> Any:
        """What the route took out of the path."""
        return self._part("path")

    @property
    def headers(self) -> Any:
        """The header fields that the schema names, as it writes them."""
        return self._part("headers")

    @property
    def cookies(self) -> Any:
        """The cookies that the schema names."""
        return self._part("cookies")

    @property
    def form(self) -> Any:
        """The fields of the form."""
        return self._part("form")

    @property
    def files(self) -> dict[str, Any]:
        """The files of the form, by name: each an :class:`~flask_rampart.UploadedFile`, or a list of them where there
        may be several. One that is not required and was not sent is not there.

        :raises RuntimeError: if the view has no ``@validate(files=...)``.
        """
        files: dict[str, UploadedFile | list[UploadedFile]] = self._part("files")
        return files

    def _part(self, place: str) -> Any:
        parts = current_exchange().parts
        if place not in parts:
            raise RuntimeError(f"validated.{place}: this view does not have @validate({place}=...).")
        return parts[place]


validated = Validated()
"""The checked parts of the current request, such as ``validated.body``."""
