"""Calls a function of the app's that may be async, and waits for what it comes to.

Flask runs a request in one thread, and an async view in an event loop of its own in that thread. So, in order:

1. what is not async is called, and what it returns is returned;
2. what is async is run by ``app.ensure_sync``, which an app may have replaced;
3. where an event loop is already running in this thread (an async view), a thread of its own runs it, with a copy of
   the context, so that ``request`` and ``current_app`` are the same; the view waits.

It bounds no time: what the app awaits is the app's.
"""

from __future__ import annotations

import contextvars
import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from flask import current_app


def settle(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Any:
    """What *function* returns, or, if it is async, what it comes to. Within an app context.

    >>> settle(len, "abc")
    3
    """
    if inspect.iscoroutinefunction(function):
        return _wait(current_app.ensure_sync(function), args, kwargs)
    result = function(*args, **kwargs)
    if not inspect.isawaitable(result):
        return result

    # An object with an async `__call__`, or a lambda over an async function: told only by what it returns.
    async def wait() -> Any:
        return await result

    return _wait(current_app.ensure_sync(wait), (), {})


def _wait(call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    import asyncio  # an app that is not async does not pay for it at start-up

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return call(*args, **kwargs)
    context = contextvars.copy_context()
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(lambda: context.run(call, *args, **kwargs)).result()
