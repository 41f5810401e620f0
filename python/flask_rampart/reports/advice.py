"""Says what to do about a group of reports: in one sentence, and never as if a stranger's word were true.

Whoever can send a request can report that a host was blocked, to have it allowed. So a hint that names a host begins
with "if you know it", and nothing here ever says to allow inline code, ``eval`` or ``data:`` for scripts.
"""

from __future__ import annotations

_BASES = {
    "script-src-elem": "script-src",
    "script-src-attr": "script-src",
    "style-src-elem": "style-src",
    "style-src-attr": "style-src",
}
"""The directive that most policies write: the narrower one is only what was looked for."""
_RUNS = frozenset(("script-src", "worker-src", "default-src"))
"""The directives of what runs."""
_OTHER = {
    "coep": 'Load it with crossorigin, or let its server send Cross-Origin-Resource-Policy: "cross-origin".',
    "coop": "A window of another origin lost its opener: use same-origin-allow-popups if the app opens it.",
    "crash": "The page crashed or hung: look at its memory and its loops.",
    "deprecation": "The page uses what browsers are going to take away: replace it.",
    "integrity-violation": "Give the script or style an integrity attribute.",
    "intervention": "The browser refused what the page asked for: see its name.",
    "permissions-policy-violation": "The page asks for a feature that Permissions-Policy turns off: stop, or allow it.",
}


def advice(kind: str, directive: str, blocked: str, *, strict_dynamic: bool = False) -> str:
    """What to change, for a report of this type.

    :param strict_dynamic: whether the app's policy has ``'strict-dynamic'``, under which scripts' hosts do not count.

    >>> advice("csp-violation", "img-src", "https://cdn.example.com")
    'If you know https://cdn.example.com, add it to img-src; else find out what loads it.'
    """
    if kind != "csp-violation":
        return _OTHER[kind]
    base = _BASES.get(directive, directive)
    if base in ("require-trusted-types-for", "trusted-types") or blocked.startswith("trusted-types"):
        return "A script gives a string to innerHTML or the like: use textContent, or a Trusted Types policy."
    if base == "frame-ancestors":
        return "Another site frames this page: refuse it, or name that site in frame-ancestors."
    if base == "object-src":
        return "Remove the plug-in: nothing needs one any more, and object-src stays 'none'."
    if base == "sandbox":
        return "The page does what its sandbox forbids: stop, or add the flag."
    if blocked == "eval":
        return "A script runs a string as code: rewrite it; 'unsafe-eval' would allow injected strings too."
    if blocked == "wasm-eval":
        return f"If the page uses WebAssembly, add 'wasm-unsafe-eval' to {base}."
    if blocked == "inline":
        return _inline(directive, base)
    if blocked == "other":
        return "What was blocked has no address that can be read: look at the page."
    if base in _RUNS and (strict_dynamic or blocked.endswith(":")):
        return "Give the script that loads it the nonce; if you do not know it, it was injected."
    if blocked == "self":
        return f"Add 'self' to {base}, or remove what loads it."
    return f"If you know {blocked}, add it to {base}; else find out what loads it."


def _inline(directive: str, base: str) -> str:
    if directive.endswith("-attr"):
        what = (
            "handlers such as onclick into a script" if base == "script-src" else "style attributes into a style sheet"
        )
        return f"Move {what}: attributes have no nonce."
    if base == "style-src":
        return "Give the style a nonce (csp_nonce()), or move it into a file; style attributes have none."
    if base in ("script-src", "default-src"):
        return (
            "Give the script a nonce (csp_nonce()), a hash, or a file of its own; if it is not yours, it was injected."
        )
    return f"Look at what the page does that {base} forbids."
