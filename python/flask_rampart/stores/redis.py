"""Records in Redis or Valkey: for several hosts.

1. **Atomic**: each operation is one Lua script. All keys share one hash slot, so a Cluster takes them too.
2. **Bounded**: connecting and each answer within a second (``?timeout=``); at most 32 connections for each process.
3. **Never twice**: nothing is tried again. Where a client of yours does, a change that it repeats is known by a
   random mark (a deletion for a minute), and says what the first try said.
4. **Sequences** are the server's microseconds, or one more than the last: after a failover that lost the last second,
   no number stands for two states, and ``changes`` says that anything may have changed.

A mark in shared memory (``epoch.py``) tells all workers of the host of a change at their next request, with no round
trip; the server is asked once a second, for changes by other hosts.

Deployment: what was confirmed is as durable as the server makes it. ``appendfsync always`` loses nothing;
``everysec``, its default, loses a second; without ``appendonly yes``, a restart undoes revocations. A server that
evicts keys at its memory's end (``maxmemory-policy allkeys-...``) would forget revocations, and is refused.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NoReturn
from urllib.parse import parse_qsl, urlencode, urlsplit

from ..errors import ConfigError
from .epoch import Epoch, Hint, Sequences
from .place import own_folder
from .protocol import MOST_CHANGES, MOST_SWEPT, Changes, Record, StoreError, checked, successor
from .urls import file_for, is_misplaced, option_shown, without_password

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.retry import Retry
except ImportError:
    raise ConfigError("RAMPART_STORE: Redis needs its client library: pip install 'flask-rampart[redis]'.") from None

POLL_SECONDS = 1.0
TIMEOUT_SECONDS = 1.0
_MOST_CONNECTIONS = 32
_PAGE = 500
#: How long a deletion is known, if a client tries it again.
TRIED_SECONDS = 60
_OPTIONS = ("db", "protocol", "ssl_ca_certs", "ssl_certfile", "ssl_keyfile")


class RedisStore:
    """A store in a Redis or Valkey server.

    :param server: ``"redis://..."``, ``"rediss://..."`` or ``"unix://..."``, or a client of your own (also for Sentinel
        or Cluster): without ``decode_responses``, and with timeouts.
    :param folder: where the mark for the workers of this host lies; without it, each check asks the server.
    :param prefix: what the names of all its keys begin with.
    :raises ConfigError: if the server cannot be reached, or could evict records.
    """

    def __init__(self, server: Any, *, folder: str | Path | None = None, prefix: str = "rampart") -> None:
        self._own = isinstance(server, str)
        if isinstance(server, str):
            self._name = without_password(server)
            self._client = _connect(server)
        else:
            self._name = "the Redis server of the app's own client"
            self._client = server
            if server.get_encoder().decode_responses:
                raise ConfigError("RedisStore: the client decodes answers; make it without decode_responses=True.")
        if not prefix or any(character in prefix for character in "{}") or not prefix.isprintable():
            raise ConfigError(f"RAMPART_STORE_PREFIX: {prefix!r} must be printable, without braces.")
        self._prefix = prefix
        epoch = None
        if folder is not None:
            own_folder(Path(folder))
            epoch = Epoch(file_for(folder, f"{self._name} {prefix}"))
        self._epoch = epoch
        self._sequences = Sequences(epoch, POLL_SECONDS, self._sequence)
        self._check()
        # A server may load the app and fork then: nothing stays open from here.
        self.close()
        if self._own:
            # Also when nobody needs the store any more.
            weakref.finalize(self, self._client.connection_pool.disconnect)

    def get(self, kind: str, key: str) -> Record | None:
        checked(kind, key)
        found = self._ask(self._client.hget, self._keys(kind)[0], key)
        return None if found is None else _record(key, found)

    def insert(self, kind: str, key: str, value: bytes, *, group: str = "", expires: float | None = None) -> bool:
        checked(kind, key, group, expires)
        return self._change(_INSERT, kind, (key, *_content(group, expires, value)))

    def replace(
        self, kind: str, key: str, value: bytes, version: int, *, group: str = "", expires: float | None = None
    ) -> bool:
        checked(kind, key, group, expires)
        return self._change(_REPLACE, kind, (key, *_content(group, expires, value), str(version)))

    def delete(self, kind: str, key: str, version: int | None = None) -> bool:
        checked(kind, key)
        arguments = (kind, key, "" if version is None else str(version))
        return bool(self._changed(_DELETE, [*self._keys(kind), self._tried()], arguments))

    def scan(
        self, kind: str, *, group: str | None = None, prefix: str = "", after: str = "", limit: int = 100
    ) -> list[Record]:
        checked(kind, prefix, group or "")
        checked(kind, after)
        keys = self._keys(kind)
        front = "" if group is None else f"{group}\0"
        least = f"({front}{after}" if after >= prefix else f"[{front}{prefix}"
        end = successor(prefix)
        if end is not None:
            most = f"({front}{end}"
        else:
            most = "+" if group is None else f"({group}\1"
        index = keys[1] if group is None else keys[2]
        found: list[Record] = []
        # In pages: the server does nothing else while it answers one.
        while len(found) < limit:
            want = min(_PAGE, limit - len(found))
            count, last, *rows = self._ask(self._run, _SCAN, [index, keys[0]], (least, most, want, front))
            found += [_record(rows[at].decode(), rows[at + 1]) for at in range(0, len(rows), 2)]
            if count < want:
                break
            least = f"({last.decode()}"
        return found

    def note(self, kind: str, key: str, value: bytes, *, expires: float | None = None) -> bool:
        checked(kind, key, expires=expires)
        arguments = (kind, key, *_content("", expires, value))
        try:
            self._run(_NOTE, self._keys(kind), arguments)
        except (redis.TimeoutError, redis.ConnectionError):
            return False
        except redis.RedisError as error:
            self._fail(error)
        return True

    def sequence(self, kind: str) -> int:
        return self._sequences.of(kind)

    def hint(self, kind: str) -> Hint | None:
        """How to see without a call that the sequence stands; None where it has to be asked."""
        return self._sequences.hint(kind)

    def changes(self, kind: str, since: int) -> Changes:
        checked(kind, "")
        rows = self._ask(self._run, _CHANGES, self._keys(kind)[4:6], (str(since), MOST_CHANGES))
        now = int(rows[0])
        if rows[1] == b"unknown":
            return Changes(now, None)
        # "<sequence> <key>"
        return Changes(now, tuple(dict.fromkeys(row.split(b" ", 1)[1].decode() for row in rows[2:])))

    def sweep(self, now: float) -> int:
        dropped = 0
        while dropped < MOST_SWEPT:
            ends = self._keys("")[3]
            rows = self._ask(self._client.zrangebyscore, ends, "-inf", f"({now!r}", start=0, num=_PAGE)
            by_kind: dict[str, list[bytes]] = {}
            for row in rows:
                kind, key = row.split(b"\0", 1)
                by_kind.setdefault(kind.decode(), []).append(key)
            for kind_, keys in by_kind.items():
                dropped += self._changed(_DROP, self._keys(kind_), (kind_, repr(now), *keys))
            if len(rows) < _PAGE:
                break
        return dropped

    def close(self) -> None:
        """Closes the connections that nobody uses just now; those of a client of the app's own are left to it."""
        if self._own:
            self._client.connection_pool.disconnect(inuse_connections=False)

    def _keys(self, kind: str) -> list[str]:
        front = f"{{{self._prefix}}}"
        return [
            f"{front}:records:{kind}",
            f"{front}:names:{kind}",
            f"{front}:groups:{kind}",
            f"{front}:ends",
            f"{front}:sequence:{kind}",
            f"{front}:changes:{kind}",
        ]

    def _tried(self) -> str:
        """A name for one deletion, under which the server remembers for a while that it was made."""
        return f"{{{self._prefix}}}:tried:{os.urandom(8).hex()}"

    def _sequence(self, kind: str) -> int:
        return int(self._ask(self._client.get, self._keys(kind)[4]) or 0)

    def _run(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        # Whole, each time: after a restart or a failover, a server knows no script by its hash.
        return self._client.eval(script, len(keys), *keys, *arguments)

    def _change(self, script: str, kind: str, arguments: Sequence[Any]) -> bool:
        return bool(self._changed(script, self._keys(kind), (kind, *arguments)))

    def _changed(self, script: str, keys: Sequence[str], arguments: Sequence[Any]) -> int:
        with ExitStack() as stack:
            if self._epoch is not None:
                stack.enter_context(self._epoch.change())
            return int(self._ask(self._run, script, keys, arguments))

    def _ask(self, command: Callable[..., Any], *given: Any, **more: Any) -> Any:
        try:
            return command(*given, **more)
        except redis.RedisError as error:
            self._fail(error)

    def _fail(self, error: Exception) -> NoReturn:
        # Its own text may hold what was sent.
        raise StoreError(f"{self._name} does not answer as it should: {type(error).__name__}") from None

    def _check(self) -> None:
        try:
            about = self._client.info("memory")
            missing = self._run(_PROBE, [f"{{{self._prefix}}}:probe:"], ())
        except redis.RedisError as error:
            raise ConfigError(f"RAMPART_STORE: {self._name} cannot be used: {type(error).__name__}: {error}") from None
        if missing:
            names = ", ".join(sorted(name.decode() for name in missing))
            raise ConfigError(
                f"RAMPART_STORE: the user at {self._name} may not call {names}. Let it: see docs/stores.md."
            )
        # A Cluster says it for each of its nodes.
        nodes = [about] if "used_memory" in about else list(about.values())
        if any(str(node.get("maxmemory_policy", "")).startswith("allkeys") for node in nodes):
            raise ConfigError(
                f"RAMPART_STORE: {self._name} evicts any key when its memory is full, and would forget what was "
                "revoked. Set maxmemory-policy to noeviction."
            )


def _connect(url: str) -> Any:
    options: dict[str, Any] = {
        "socket_connect_timeout": TIMEOUT_SECONDS,
        "socket_timeout": TIMEOUT_SECONDS,
        "timeout": TIMEOUT_SECONDS,
        "max_connections": _MOST_CONNECTIONS,
        # Who tries again after no answer may do a thing twice.
        "retry": Retry(NoBackoff(), 0),
    }
    shown = without_password(url)
    if is_misplaced(url):
        raise ConfigError(
            f"RAMPART_STORE: in {shown}, '@' or '#' stands where it may belong to a password. In a password, write "
            "'/' as %2F, '#' as %23, '?' as %3F and '@' as %40."
        )
    try:
        parts = urlsplit(url)
    except ValueError:
        raise ConfigError(f"RAMPART_STORE: {shown} is not the address of a Redis server.") from None
    if parts.scheme == "rediss":
        options.update(ssl_cert_reqs="required", ssl_check_hostname=True)
    kept = []
    for name, value in parse_qsl(parts.query, keep_blank_values=True):
        if name == "timeout":
            options.update(dict.fromkeys(("socket_connect_timeout", "socket_timeout", "timeout"), _timeout(value)))
        elif name in _OPTIONS:
            kept.append((name, value))
        else:
            known = ", ".join((*_OPTIONS, "timeout"))
            raise ConfigError(f"RAMPART_STORE: {option_shown(name)} is not one of {known}.")
    try:
        address = url.partition("?")[0] + ("?" + urlencode(kept) if kept else "")
        return redis.Redis(connection_pool=redis.BlockingConnectionPool.from_url(address, **options))
    except (ValueError, TypeError, redis.RedisError):
        raise ConfigError(f"RAMPART_STORE: {shown} is not the address of a Redis server.") from None


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 60:
        raise ConfigError("RAMPART_STORE: timeout is not a number of seconds up to 60.")
    return seconds


def _content(group: str, expires: float | None, value: bytes) -> tuple[str, str, str, bytes]:
    return group, "" if expires is None else repr(float(expires)), os.urandom(8).hex(), value


def _record(key: str, packed: bytes) -> Record:
    version, expires, size, _, rest = packed.split(b" ", 4)
    length = int(size)
    end = float(expires) if expires else None
    return Record(key, rest[length:], int(version), rest[:length].decode(), end)


# KEYS: records, names, groups, ends, sequence, changes. ARGV: kind, key, and what the operation needs.
# A record is "<version> <expires> <bytes of group> <mark of the change> <group><value>".
# A script that fails half way is not undone: what changed is written first, what is no longer needed goes last.
_READ = """
local function read(packed)
  local version, expires, size, mark, at = string.match(packed, '^(%d+) (%S*) (%d+) (%x*) ()')
  return version, expires, string.sub(packed, at, at + size - 1), mark
end
"""
_SHARED = f"""{_READ}
local records, names, groups, ends, sequence, log = unpack(KEYS)
local function changed(kind, key)
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000000 + tonumber(time[2])
  local last = tonumber(redis.call('GET', sequence) or '0')
  if now <= last then now = last + 1 end
  local text = string.format('%.0f', now)
  redis.call('SET', sequence, text)
  redis.call('ZADD', log, text, text .. ' ' .. key)
  return text
end
local function trim()
  redis.call('ZREMRANGEBYRANK', log, 0, -{MOST_CHANGES + 2})
end
local function remove(kind, key, old)
  local _, _, group = read(old)
  redis.call('HDEL', records, key)
  redis.call('ZREM', names, key)
  redis.call('ZREM', groups, group .. '\\0' .. key)
  redis.call('ZREM', ends, kind .. '\\0' .. key)
end
local function forget(kind, key, old, group, expires)
  local _, _, was = read(old)
  if was ~= group then redis.call('ZREM', groups, was .. '\\0' .. key) end
  if expires == '' then redis.call('ZREM', ends, kind .. '\\0' .. key) end
end
local function write(kind, key, version, group, expires, mark, value)
  redis.call('HSET', records, key, version .. ' ' .. expires .. ' ' .. #group .. ' ' .. mark .. ' ' .. group .. value)
  redis.call('ZADD', names, 0, key)
  redis.call('ZADD', groups, 0, group .. '\\0' .. key)
  if expires ~= '' then redis.call('ZADD', ends, expires, kind .. '\\0' .. key) end
end
local function mine(old, mark)
  local _, _, _, found = read(old)
  return found == mark and 1 or 0
end
"""
_INSERT = f"""{_SHARED}
local kind, key, group, expires, mark, value = unpack(ARGV)
local old = redis.call('HGET', records, key)
if old then return mine(old, mark) end
write(kind, key, changed(kind, key), group, expires, mark, value)
trim()
return 1
"""
_REPLACE = f"""{_SHARED}
local kind, key, group, expires, mark, value, version = unpack(ARGV)
local old = redis.call('HGET', records, key)
if not old then return 0 end
if read(old) ~= version then return mine(old, mark) end
write(kind, key, changed(kind, key), group, expires, mark, value)
forget(kind, key, old, group, expires)
trim()
return 1
"""
_DELETE = f"""{_SHARED}
local kind, key, version = unpack(ARGV)
if redis.call('GET', KEYS[7]) then return 1 end
local old = redis.call('HGET', records, key)
if not old or (version ~= '' and read(old) ~= version) then return 0 end
changed(kind, key)
redis.call('SET', KEYS[7], '', 'EX', {TRIED_SECONDS})
remove(kind, key, old)
trim()
return 1
"""
_NOTE = f"""{_SHARED}
local kind, key, group, expires, mark, value = unpack(ARGV)
local old = redis.call('HGET', records, key)
write(kind, key, '0', group, expires, mark, value)
if old then forget(kind, key, old, group, expires) end
return 1
"""
_DROP = f"""{_SHARED}
local kind, now, dropped = ARGV[1], tonumber(ARGV[2]), 0
for at = 3, #ARGV do
  local key = ARGV[at]
  local old = redis.call('HGET', records, key)
  if old then
    local _, expires = read(old)
    if expires ~= '' and tonumber(expires) < now then
      changed(kind, key)
      remove(kind, key, old)
      dropped = dropped + 1
    elseif expires == '' then
      redis.call('ZREM', ends, kind .. '\\0' .. key)
    end
  else
    redis.call('ZREM', ends, kind .. '\\0' .. key)
  end
end
trim()
return dropped
"""
# What a script that failed half way left in an index is passed over.
_SCAN = f"""{_READ}
local members = redis.call('ZRANGEBYLEX', KEYS[1], ARGV[1], ARGV[2], 'LIMIT', 0, ARGV[3])
local found = {{#members, members[#members] or ''}}
for _, member in ipairs(members) do
  local key = string.sub(member, #ARGV[4] + 1)
  local record = redis.call('HGET', KEYS[2], key)
  if record then
    local _, _, group = read(record)
    if ARGV[4] == '' or group .. '\\0' == ARGV[4] then
      found[#found + 1] = key
      found[#found + 1] = record
    end
  end
end
return found
"""
# Which of the commands that are needed this user may not call; it leaves nothing behind.
_PROBE = """
local key, missing = KEYS[1], {}
for _, call in ipairs({
  {'TIME'}, {'GET', key .. 's'}, {'SET', key .. 's', '', 'PX', 1},
  {'HSET', key .. 'h', 'a', ''}, {'HGET', key .. 'h', 'a'}, {'HDEL', key .. 'h', 'a'},
  {'ZADD', key .. 'z', 0, 'a'}, {'ZCARD', key .. 'z'}, {'ZRANGEBYLEX', key .. 'z', '-', '+'},
  {'ZRANGEBYSCORE', key .. 'z', 0, 0}, {'ZREM', key .. 'z', 'a'}, {'ZREMRANGEBYRANK', key .. 'z', 0, -1},
}) do
  local answer = redis.pcall(unpack(call))
  if type(answer) == 'table' and answer.err then missing[#missing + 1] = string.lower(call[1]) end
end
return missing
"""
_CHANGES = """
local now = redis.call('GET', KEYS[1]) or '0'
local rows = redis.call('ZRANGEBYSCORE', KEYS[2], ARGV[1], '+inf')
local known
if ARGV[1] == '0' then
  known = redis.call('ZCARD', KEYS[2]) <= tonumber(ARGV[2])
  if known then table.insert(rows, 1, '') end
else
  known = rows[1] and string.match(rows[1], '^%d+') == ARGV[1]
end
if not known then return {now, 'unknown'} end
rows[1] = 'known'
table.insert(rows, 1, now)
return rows
"""
