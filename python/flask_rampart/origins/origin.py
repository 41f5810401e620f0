"""Reads an origin as browsers write it, so that at run time text is compared with text.

An origin is a scheme, a host and a port that is left out where it is the scheme's own (RFC 6454 section 6.2). A
browser writes each in exactly one way: lower case, names beyond ASCII as ``xn--...``, IPv6 in brackets and shortened.
:func:`read_origin` gives that way, and refuses what names more than an origin: a path, a query, a user, a wildcard, or
the word ``null``, which any page can have for its origin (a sandboxed frame, a redirect).
"""

from __future__ import annotations

from ..errors import ConfigError
from ..readers import shown
from ..weburl import NotReadable, read_url


def read_origin(where: str, text: object) -> str:
    """The origin that *text* names, as a browser writes it.

    :param where: what the error names, such as a setting.
    :raises ConfigError: if it is no http or https origin.

    >>> read_origin("ORIGINS", "https://App.Example.com:443")
    'https://app.example.com'
    """
    if not isinstance(text, str):
        raise ConfigError(f"{where}: an origin is a text such as 'https://app.example.com', not {shown(text)}.")
    if text == "null":
        raise ConfigError(
            f"{where}: 'null' is the origin of every sandboxed frame, whoever put it there. Leave it out."
        )
    if "*" in text:
        raise ConfigError(f"{where}: {shown(text)} has a wildcard: each origin is named in full.")
    if text.isascii() and "://" not in text:
        raise ConfigError(f"{where}: {shown(text)} is no origin: it has no scheme. Write 'https://app.example.com'.")
    try:
        url = read_url(text)
    except NotReadable as error:
        raise ConfigError(f"{where}: {shown(text)} is no origin: {error}.") from None
    origin = f"{url.scheme}://{url.authority}"
    if url.path != "/" or "#" in text or text.endswith("/"):
        raise ConfigError(f"{where}: {shown(text)} is more than an origin. Write {origin!r}.")
    return origin


def is_own(environ: dict[str, object], origin: str) -> bool:
    """Whether *origin* is that of the request's own address.

    Over HTTPS the scheme must be https too. Where the request seems to have come over HTTP, either will do: a proxy
    that ends TLS and is not known here hides it, and the host alone tells the sites apart.
    """
    host = environ.get("HTTP_HOST")
    if host and origin == f"{environ.get('wsgi.url_scheme')}://{host}":
        return True  # as a browser writes it; the rest is for what proxies do to it
    scheme, _, authority = origin.partition("://")
    if scheme not in _PORTS or (scheme == "http" and environ.get("wsgi.url_scheme") == "https"):
        return False
    if not isinstance(host, str) or not host:
        host = f"{environ.get('SERVER_NAME', '')}:{environ.get('SERVER_PORT', '')}"
    # A browser leaves out the port of its scheme; a proxy may have written it.
    return authority != "" and host.lower().removesuffix(_PORTS[scheme]) == authority


_PORTS = {"http": ":80", "https": ":443"}
