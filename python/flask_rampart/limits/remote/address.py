"""From an address, or a client of the app's own, to what makes connections.

1. ``redis://``, ``rediss://`` and ``unix://`` as redis-py takes them;
2. ``redis+sentinel://host:port,host:port/service/db`` and ``rediss+sentinel://``: the master that the sentinels name,
   asked anew
   for each connection;
3. ``redis+cluster://host:port,host:port`` and ``rediss+cluster://``: the node that has the app's slot;
4. a client of the app's own: ``redis.Redis``, one of ``Sentinel.master_for``, or ``RedisCluster``. Its settings are
   kept (TLS, credentials), but for the
   time that it waits and the times that it tries again.

Nothing is opened here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote, urlsplit

from ...errors import ConfigError
from ...stores.urls import is_misplaced, without_password

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
        #: A connection of redis-py's that is not open yet.
        self.make = make
        #: Told when the node is not the right one any more.
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
    options: dict[str, Any] = {
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        # Who tries again waits again.
        "retry": Retry(NoBackoff(), 0),
        "health_check_interval": 0,
    }
    if not isinstance(server, str):
        return _of_client(redis, server, key, options)
    shown = without_password(server)
    if is_misplaced(server):
        raise ConfigError(
            f"RAMPART_LIMIT_STORE: in {shown}, '@' or '#' stands where it may belong to a password. In a password, "
            "write '/' as %2F, '#' as %23, '?' as %3F and '@' as %40."
        )
    scheme = server.partition("://")[0]
    transport, _, kind = scheme.partition("+")
    try:
        if kind == "sentinel":
            return _of_sentinels(redis, server, shown, transport == "rediss", options)
        if kind == "cluster":
            nodes, _, user = _parts(server, "cluster")
            if transport == "rediss":
                user["ssl"] = True
            client = redis.RedisCluster(
                startup_nodes=[_node(redis, host, port) for host, port in nodes],
                **_lean(redis, options),
                **user,
            )
            return _of_cluster(client, key, shown)
        # Read for its mistakes alone; the connections are ours.
        pool = redis.ConnectionPool.from_url(server, **_lean(redis, options))
        kwargs = {**pool.connection_kwargs, **options}
        pool.connection_class(**kwargs)
    except (ValueError, TypeError, redis.RedisError) as error:
        raise ConfigError(f"RAMPART_LIMIT_STORE: {shown} cannot be used: {type(error).__name__}: {error}.") from None
    return Source(shown, lambda: pool.connection_class(**kwargs))


def _lean(redis: Any, options: dict[str, Any]) -> dict[str, Any]:
    """Without what costs a new connection round trips: it is new when an outage ends, and waited for."""
    lean = {**options, "protocol": 2}
    known = inspect.signature(redis.connection.AbstractConnection.__init__).parameters
    lean.update(dict.fromkeys(("driver_info",) if "driver_info" in known else ("lib_name", "lib_version")))
    try:
        from redis.maint_notifications import MaintNotificationsConfig

        lean["maint_notifications_config"] = MaintNotificationsConfig(enabled=False)
    except ImportError:
        pass  # an older client, which does not ask for them
    return lean


def _parts(url: str, kind: str) -> tuple[list[tuple[str, int]], list[str], dict[str, Any]]:
    """Hosts, path and credentials of an address with several hosts."""
    parts = urlsplit(url)
    if parts.query:
        raise ValueError("options are not read here; make a client of your own and give it to Rampart(limit_store=...)")
    user, _, hosts = parts.netloc.rpartition("@")
    found = []
    for text in hosts.split(","):
        host, colon, port = text.rpartition(":")
        if not colon or "]" in port:
            host, port = text, str(_DEFAULT_PORTS[kind])
        if not host or not port.isdigit():
            raise ValueError(f"hosts are written as host:{_DEFAULT_PORTS[kind]}, with commas between them")
        found.append((host.strip("[]"), int(port)))
    name, _, password = user.partition(":")
    credentials: dict[str, Any] = {}
    if name:
        credentials["username"] = unquote(name)
    if password:
        credentials["password"] = unquote(password)
    return found, [step for step in parts.path.split("/") if step], credentials


def _node(redis: Any, host: str, port: int) -> Any:
    return redis.cluster.ClusterNode(host, port)


def _of_sentinels(redis: Any, url: str, shown: str, is_tls: bool, options: dict[str, Any]) -> Source:
    hosts, path, user = _parts(url, "sentinel")
    if not path or len(path) > 2 or (len(path) == 2 and not path[1].isdigit()):
        raise ValueError("write redis+sentinel://host:26379,host:26379/service/0, with the name of the service")
    waits = {name: options[name] for name in ("socket_timeout", "socket_connect_timeout", "retry")}
    kwargs = {**_lean(redis, options), **user, "db": int(path[1]) if len(path) == 2 else 0}
    if is_tls:
        kwargs["ssl"] = waits["ssl"] = True
    sentinel = redis.sentinel.Sentinel(hosts, sentinel_kwargs=waits, **kwargs)
    pool = sentinel.master_for(path[0]).connection_pool
    return Source(shown, _from(pool, options))


def _of_client(redis: Any, client: Any, key: str, options: dict[str, Any]) -> Source:
    shown = "the Redis of the app's own client"
    if isinstance(client, redis.RedisCluster):
        return _of_cluster(client, key, shown, options)
    pool = getattr(client, "connection_pool", None)
    if not isinstance(client, redis.Redis) or pool is None:
        raise ConfigError(
            f"RAMPART_LIMIT_STORE: a redis.Redis or redis.RedisCluster client is needed, not {type(client).__name__}."
        )
    return Source(shown, _from(pool, options))


def _from(pool: Any, options: dict[str, Any]) -> Callable[[], Any]:
    """Makes connections as *pool* does, but for the options."""
    kwargs = {**pool.connection_kwargs, **options}
    if "host" not in kwargs and "connection_pool" not in kwargs and hasattr(pool, "sentinel_manager"):
        kwargs["connection_pool"] = pool
    kwargs.pop("max_connections", None)
    return lambda: pool.connection_class(**kwargs)


def _of_cluster(client: Any, key: str, shown: str, options: dict[str, Any] | None = None) -> Source:
    def make() -> Any:
        if not client.nodes_manager.slots_cache:
            client.nodes_manager.initialize()
        node = client.nodes_manager.get_node_from_slot(client.keyslot(key))
        if node.redis_connection is None:
            node.redis_connection = client.get_redis_connection(node)
        pool = node.redis_connection.connection_pool
        return _from(pool, options or {})()

    def lost() -> None:
        client.nodes_manager.initialize()

    return Source(shown, make, lost)
