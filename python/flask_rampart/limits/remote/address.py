"""From an address, or a client of the app's own, to what makes connections.

1. ``redis://``, ``rediss://`` and ``unix://`` as redis-py takes them;
2. ``redis+sentinel://host:port,host:port/service/db`` and ``rediss+sentinel://``: the master that the sentinels name,
   asked anew for each connection;
3. ``redis+cluster://host:port,host:port`` and ``rediss+cluster://``: the node that has the app's slot;
4. a client of the app's own: ``redis.Redis``, one of ``Sentinel.master_for``, or ``RedisCluster``. Its settings are
   kept (TLS, credentials), but for the time that it waits and the times that it tries again.

Over TLS the server's name is checked, unless an address says ``ssl_check_hostname=false``, or a client is the app's
own. Nothing is opened here, and nothing that may be a password is said.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from ...errors import ConfigError
from ...stores.urls import is_misplaced, option_shown, without_password
from .cluster import Cluster

SCHEMES = (
    "redis://",
    "rediss://",
    "unix://",
    "redis+sentinel://",
    "rediss+sentinel://",
    "redis+cluster://",
    "rediss+cluster://",
)

_DEFAULT_PORTS = {"sentinel": 26379, "cluster": 6379}
_HOST = re.compile(r"(\[[0-9A-Fa-f:.%\w]+\]|[\w.-]*)(:\d{1,5})?", re.ASCII)
_NO = ("0", "f", "false", "n", "no")
_HANDSHAKE = 0.5
"""Seconds that each step of connecting may take at least: no request waits for it."""


def without_lease(url: str) -> tuple[str, str | None]:
    """An address without its ``lease=``, and that."""
    front, mark, query = url.partition("?")
    words = query.split("&") if mark else []
    leases = [word for word in words if word.partition("=")[0] == "lease"]
    if not leases:
        return url, None
    kept = "&".join(word for word in words if word not in leases)
    return f"{front}?{kept}" if kept else front, leases[-1].partition("=")[2]


class Source:
    """Makes connections to the node that has the counters."""

    def __init__(self, name: str, make: Callable[[], Any], lost: Callable[[], None] = lambda: None) -> None:
        #: As it may be shown.
        self.name = name
        #: A connection of redis-py's that is not open yet. It may take its time, and raise anything.
        self.make = make
        #: Told that the node is perhaps not the right one any more. Does no network.
        self.lost = lost


def source(server: Any, key: str, timeout: float) -> Source:
    """What makes connections to *server*, where *key* is.

    :raises ConfigError: if it is no address or client that can be used.
    """
    try:
        import redis
        from redis.backoff import NoBackoff
        from redis.retry import Retry
    except ImportError:
        raise ConfigError(
            "RAMPART_LIMIT_STORE: Redis needs its client library: pip install 'flask-rampart[redis]'."
        ) from None
    patience = max(timeout, _HANDSHAKE)
    options: dict[str, Any] = {
        "socket_timeout": patience,
        "socket_connect_timeout": patience,
        # Who tries again waits again.
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
        "protocol": 2,
    }
    if not isinstance(server, str):
        return _of_client(redis, server, key, {**options, **_unasked()})
    name = shown(server)
    if is_misplaced(server):
        raise ConfigError(
            f"RAMPART_LIMIT_STORE: in {name}, '@' or '#' stands where it may belong to a password. In a password, "
            "write '/' as %2F, '#' as %23, '?' as %3F and '@' as %40."
        )
    scheme = server.partition("://")[0]
    transport, _, kind = scheme.partition("+")
    try:
        if kind == "sentinel":
            return _of_sentinels(redis, server, name, transport == "rediss", options)
        if kind == "cluster":
            return _of_nodes(redis, server, name, key, transport == "rediss", options)
        path = urlsplit(server).path.strip("/")
        if transport != "unix" and path and not path.isdigit():
            raise _Unreadable("behind the host is the number of a database: redis://host:6379/0")
        # Read for its mistakes alone; the connections are ours.
        pool = redis.ConnectionPool.from_url(server, **_lean(redis, options))
        kwargs = {**pool.connection_kwargs, **options}
        if transport == "rediss":
            kwargs["ssl_check_hostname"] = _checks_name(kwargs)
        pool.connection_class(**kwargs)
    except _Unreadable as error:
        raise ConfigError(f"RAMPART_LIMIT_STORE: {name} cannot be used: {error}.") from None
    except (ValueError, TypeError, redis.RedisError):
        # Their texts quote.
        options_given = [option_shown(word.partition("=")[0]) for word in urlsplit(server).query.split("&") if word]
        among = f", or one of its options ({', '.join(options_given)})" if options_given else ""
        raise ConfigError(
            f"RAMPART_LIMIT_STORE: {name} cannot be used. Write redis://user:password@host:6379/0 or "
            f"unix://user:password@/path?db=0: something in it is none of that{among}."
        ) from None
    return Source(name, lambda: pool.connection_class(**kwargs))


def shown(url: str) -> str:
    """The address as it may be shown. A host or port that is none may be a password, misplaced.

    >>> shown("redis://:secret@db.example:6379/0")
    'redis://db.example:6379/0'
    >>> shown("redis://:secret:6379"), shown("redis://db.example:secret/0")
    ('redis://...', 'redis://...')
    """
    found = without_password(url)
    scheme, _, rest = found.partition("://")
    if scheme == "unix":
        return found if rest.startswith("/") else "unix://..."
    hosts, _, path = rest.partition("/")
    is_right = path == "" or path.isdigit() or scheme.endswith("sentinel")
    if not is_right or not all(_HOST.fullmatch(host) for host in hosts.split(",")):
        return f"{scheme}://..."
    return found


class _Unreadable(ValueError):
    """Says what would be right; quotes nothing."""


def _checks_name(kwargs: dict[str, Any]) -> bool:
    """Whether TLS is to check the server's name: older clients of redis-py do not, unless they are told to."""
    if str(kwargs.get("ssl_cert_reqs", "required")).lower() == "none":
        return False
    return str(kwargs.get("ssl_check_hostname", True)).lower() not in _NO


def _lean(redis: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Without what costs a new connection round trips: it is new when an outage ends, and waited for."""
    known = inspect.signature(redis.connection.AbstractConnection.__init__).parameters
    names = ("driver_info",) if "driver_info" in known else ("lib_name", "lib_version")
    return {**options, **_unasked(), **dict.fromkeys(names)}


def _unasked() -> dict[str, Any]:
    """Without messages that nobody has asked for: what is read is the one answer to one command."""
    try:
        from redis.maint_notifications import MaintNotificationsConfig
    except ImportError:
        return {}  # an older client, which does not know them
    return {"maint_notifications_config": MaintNotificationsConfig(enabled=False)}


def _parts(url: str, kind: str) -> tuple[list[tuple[str, int]], list[str], dict[str, Any]]:
    """Hosts, path and credentials of an address with several hosts."""
    parts = urlsplit(url)
    if parts.query:
        raise _Unreadable(
            "options are not read here; make a client of your own and give it to Rampart(limit_store=...)"
        )
    user, _, hosts = parts.netloc.rpartition("@")
    found = []
    for text in hosts.split(","):
        host, colon, port = text.rpartition(":")
        if not colon or "]" in port:
            host, port = text, str(_DEFAULT_PORTS[kind])
        if not host or not port.isdigit() or not _HOST.fullmatch(host):
            raise _Unreadable(f"hosts are written as host:{_DEFAULT_PORTS[kind]}, with commas between them")
        found.append((host.strip("[]"), int(port)))
    name, _, password = user.partition(":")
    credentials: dict[str, Any] = {}
    if name:
        credentials["username"] = unquote(name)
    if password:
        credentials["password"] = unquote(password)
    return found, [step for step in parts.path.split("/") if step], credentials


def _of_sentinels(redis: Any, url: str, name: str, is_tls: bool, options: dict[str, Any]) -> Source:
    hosts, path, user = _parts(url, "sentinel")
    if not path or len(path) > 2 or (len(path) == 2 and not path[1].isdigit()):
        raise _Unreadable("write redis+sentinel://host:26379,host:26379/service/0, with the name of the service")
    waits = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout", "retry")}
    kwargs = {**_lean(redis, options), **user, "db": int(path[1]) if len(path) == 2 else 0}
    if is_tls:
        kwargs["ssl"] = waits["ssl"] = kwargs["ssl_check_hostname"] = waits["ssl_check_hostname"] = True
    sentinel = redis.sentinel.Sentinel(hosts, sentinel_kwargs=waits, **kwargs)
    pool = sentinel.master_for(path[0]).connection_pool
    return Source(name, _from(pool, options))


def _of_client(redis: Any, client: Any, key: str, options: dict[str, Any]) -> Source:
    name = "the Redis of the app's own client"
    if isinstance(client, redis.RedisCluster):
        return _of_cluster(client, key, name, options)
    pool = getattr(client, "connection_pool", None)
    if not isinstance(client, redis.Redis) or pool is None:
        raise ConfigError(
            f"RAMPART_LIMIT_STORE: a redis.Redis or redis.RedisCluster client is needed, not {type(client).__name__}."
        )
    return Source(name, _from(pool, options))


def _from(pool: Any, options: dict[str, Any]) -> Callable[..., Any]:
    """Makes connections as *pool* does, but for the options."""
    kwargs = {**pool.connection_kwargs, **options}
    if "host" not in kwargs and "connection_pool" not in kwargs and hasattr(pool, "sentinel_manager"):
        kwargs["connection_pool"] = pool
    kwargs.pop("max_connections", None)
    return lambda **more: pool.connection_class(**{**kwargs, **more})


def _of_nodes(redis: Any, url: str, name: str, key: str, is_tls: bool, options: dict[str, Any]) -> Source:
    hosts, path, user = _parts(url, "cluster")
    if path:
        raise _Unreadable("a cluster has no numbered databases: write redis+cluster://host:6379,host:6379")
    kwargs = {**_lean(redis, options), **user}
    if is_tls:
        kwargs.update(connection_class=redis.connection.SSLConnection, ssl_check_hostname=True)
    make = _from(redis.ConnectionPool(**kwargs), options)
    cluster = Cluster(_slot(key), make, lambda: hosts)
    return Source(name, cluster.make, cluster.lost)


def _of_cluster(client: Any, key: str, name: str, options: dict[str, Any]) -> Source:
    def seeds() -> list[tuple[str, int]]:
        known = [*client.nodes_manager.startup_nodes.values(), *client.get_nodes()]
        return list(dict.fromkeys((node.host, node.port) for node in known))

    def make(**address: Any) -> Any:
        # Made from the settings of any node of its: they differ by their addresses alone.
        node = client.get_nodes()[0]
        return _from(client.get_redis_connection(node).connection_pool, options)(**address)

    remap = getattr(client.nodes_manager, "remap_host_port", lambda host, port: (host, port))
    cluster = Cluster(_slot(key), make, seeds, remap)
    return Source(name, cluster.make, cluster.lost)


def _slot(key: str) -> int:
    from redis.crc import key_slot

    return int(key_slot(key.encode()))
