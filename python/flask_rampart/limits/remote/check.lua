-- All limits of a request in one call: all admit and are charged, or nothing is written.
--
-- KEYS[i]  a counter; the last one counts the changes of bans
-- ARGV[1]  "check", "take", "peek", "settle" or "clear"; then for each counter six arguments: kind, cost, p1 to p4; then, to take, for
--          each how many cells are wanted in advance, its cost among them: it gets its cost, and of what is left beyond that a quarter at most
--   g  a rate (GCRA)     p1 ticks for a cell, p2 cells of its burst; to give back, p3 the mark, p4 ticks, if they are not those of the cost
--   w  a window of the calendar, as the asking host's clock sees it:
--                        p1 cells, p2 its first second, p3 its end, p4 the end of the next; to give back, p2 the mark
--   s  a sliding window  p1 cells, p2 ticks of its period; to give back, p3 the mark
--   c  in progress       p1 how many at once, p2 names this one, p3 for how many milliseconds; to settle, cost -1 ends it, 0 goes on,
--                        also if it was forgotten; what is cleared is still in progress
-- Returns whether all admit (0 or 1), and for each counter: cells left, microseconds until it is full, microseconds until the same
-- request would pass (0 if it does, -1 if it never will; to settle, by how many ticks or cells the counter was raised), and a mark by which it is given
-- back; to take, then for each how many cells it gets. Then
-- the number of the last change of bans.
--
-- Time is this server's, in ticks of 1/16 microsecond since 1760000000: whole numbers that a double holds exactly until 2043.

local time = redis.call('TIME')
local unix, micros = tonumber(time[1]), tonumber(time[2])
local now = (unix - 1760000000) * 16000000 + micros * 16
local now_ms = unix * 1000 + math.floor(micros / 1000)
local op = ARGV[1]
local bans = table.remove(KEYS)

local function whole(number)
  return string.format('%.0f', number)
end

local function to_micros(ticks)
  return math.ceil(ticks / 16)
end

-- The number of the last change of bans; 0 for whatever else is there. What is charged by now shall not fail for it.
local function changed()
  local number = tonumber(redis.pcall('GET', bans) or '0') or 0
  return number >= 0 and number < 2 ^ 52 and math.floor(number) or 0
end

local read, state, write = {}, {}, {}

function read.g(key, p)
  local c = { interval = p[1], burst = p[2] }
  local tat = tonumber(redis.call('GET', key) or '0')
  -- What is no number, or "nan", is not ours.
  c.tat = tat and tat > now and tat or now
  local most = now + 2 * c.burst * c.interval
  if c.tat > most then
    -- More than can be owed: this server's clock has gone back.
    c.tat = most
    redis.call('SET', key, whole(most), 'PX', whole(math.ceil((most - now) / 16000) + 1))
  end
  return c
end

-- Whether `cost` passes, and what the counter says with `cost` more charged: cells left, ticks until full, ticks to wait, mark.
function state.g(c, cost)
  local full = c.burst * c.interval
  local tat = c.tat + cost * c.interval
  local wait = math.max(tat - now - full, 0)
  return wait, math.max(math.floor((full - (tat - now)) / c.interval), 0), tat - now, tat
end

function write.g(key, c, cost)
  local tat = math.max(math.min(c.tat + cost * c.interval, now + 2 * c.burst * c.interval), c.tat)
  if tat <= now then
    redis.call('DEL', key)
  else
    redis.call('SET', key, whole(tat), 'PX', whole(math.ceil((tat - now) / 16000) + 1))
  end
end

function read.w(key, p)
  local start, ends = p[2], p[3]
  if unix >= ends then
    start, ends = p[3], p[4]
  end
  local is_known = start <= unix and unix < ends
  if not is_known then
    -- The host's clock is ahead, or behind by more than a window: about now, until somebody knows.
    local period = math.max(ends - start, 1)
    start = start + math.floor((unix - start) / period) * period
    ends = start + period
  end
  local c = { limit = p[1], start = start, ends = ends, used = 0 }
  local began, used, till = string.match(redis.call('GET', key) or '', '^(%d+):(%d+):(%d+)$')
  began, till = tonumber(began), tonumber(till)
  -- The window that was begun goes on until it ends, by this server's clock, and unless the host knows of a newer one.
  if till and unix < till and (began >= start or not is_known) then
    c.start, c.used, c.ends, c.is_begun = began, tonumber(used), till, true
  end
  return c
end

function state.w(c, cost)
  local left = math.max((c.ends - unix) * 16000000 - micros * 16, 16)
  local sum = c.used + cost
  return sum > c.limit and left or 0, math.max(c.limit - sum, 0), sum > 0 and left or 0, c.start
end

function write.w(key, c, cost)
  local used = math.max(math.min(c.used + cost, 2 * c.limit), 0)
  local value = whole(c.start) .. ':' .. whole(used) .. ':' .. whole(c.ends)
  redis.call('SET', key, value, 'EX', whole(c.ends - unix + 5))
end

function read.s(key, p)
  local c = { limit = p[1], period = p[2], this = 0, last = 0 }
  c.index = math.floor(now / c.period)
  c.left = c.period - now % c.period
  c.keep = c.left + c.period
  local index, this, last = string.match(redis.call('GET', key) or '', '^(%d+):(%d+):(%d+)$')
  index = tonumber(index)
  if not index or index < c.index - 1 then
    return c
  end
  if index == c.index - 1 then
    c.last = tonumber(this)
    return c
  end
  c.this, c.last = tonumber(this), tonumber(last)
  if index > c.index then
    -- This server's clock has gone back: the window that had begun is the one that it is now, but no more than the next.
    c.index, c.keep, c.left = c.index + 1, c.keep + c.period, c.period
    if index > c.index then
      write.s(key, c, 0)
    end
  end
  return c
end

function state.s(c, cost)
  local this = c.this + cost
  local sum = math.ceil(c.last * (c.left / c.period)) + this
  local wait = 0
  if sum > c.limit then
    local room = c.limit - cost - c.this
    if room >= 0 then
      wait = c.left - math.min(math.floor(room / c.last * c.period), c.period)
    else
      wait = c.left + c.period - math.min(math.floor((c.limit - cost) / c.this * c.period), c.period)
    end
    wait = math.max(wait, 1)
  end
  local reset = this > 0 and c.left + c.period or (c.last > 0 and c.left or 0)
  return wait, math.max(c.limit - sum, 0), reset, c.index
end

function write.s(key, c, cost)
  local this = math.max(math.min(c.this + cost, 2 * c.limit), 0)
  local value = whole(c.index) .. ':' .. whole(this) .. ':' .. whole(c.last)
  redis.call('SET', key, value, 'PX', whole(math.ceil(c.keep / 16000) + 1000))
end

function read.c(key, p)
  redis.call('ZREMRANGEBYSCORE', key, '-inf', whole(now_ms))
  -- Those of others: what is asked twice, since its connection broke before the answer, is in progress once.
  local others = redis.call('ZCARD', key) - (redis.call('ZSCORE', key, p[2]) and 1 or 0)
  return { limit = p[1], lease = p[2], ttl = tonumber(p[3]), held = others }
end

function state.c(c, cost)
  -- When somebody else is ready, nobody knows: a second is a guess.
  local held = c.held + (cost > 0 and 1 or 0)
  return held > c.limit and 16000000 or 0, math.max(c.limit - held, 0), 0, 0
end

function write.c(key, c)
  redis.call('ZADD', key, whole(now_ms + c.ttl), c.lease)
  redis.call('PEXPIRE', key, whole(c.ttl))
end

-- What was charged becomes what it has cost: `cost` is the difference. It refuses nothing, and returns by how much it has raised the counter.
local settle = {}

function settle.g(key, c, cost, p)
  if cost < 0 then
    -- No more than time has not repaid since.
    local back = math.min(p[4] > 0 and p[4] or -cost * c.interval, math.max(p[3] - now, 0))
    c.tat = math.max(c.tat - back, now)
    cost = 0
  end
  local before = c.tat
  write.g(key, c, cost)
  return read.g(key, p).tat - before
end

function settle.w(key, c, cost, p)
  -- What was charged to a window that is over is not given back to another.
  if cost > 0 or (c.is_begun and c.start == p[2]) then
    write.w(key, c, cost)
  end
  return math.min(math.max(2 * c.limit - c.used, 0), cost)
end

function settle.s(key, c, cost, p)
  if cost > 0 or c.index == p[3] then
    write.s(key, c, cost)
  elseif c.index == p[3] + 1 then
    c.last = math.max(c.last + cost, 0)
    write.s(key, c, 0)
  end
  return math.min(math.max(2 * c.limit - c.this, 0), cost)
end

function settle.c(key, c, cost)
  if cost < 0 then
    redis.call('ZREM', key, c.lease)
  else
    write.c(key, c)
  end
end

if op == 'clear' then
  for i, key in ipairs(KEYS) do
    if ARGV[(i - 1) * 6 + 2] ~= 'c' then
      redis.call('DEL', key)
    end
  end
  return { 1, changed() }
end

local counters, costs, kinds, added, admits = {}, {}, {}, {}, 1
for i, key in ipairs(KEYS) do
  local at = (i - 1) * 6 + 2
  local kind, cost = ARGV[at], tonumber(ARGV[at + 1])
  local p = {}
  for n = 1, 4 do
    p[n] = kind == 'c' and n == 2 and ARGV[at + 1 + n] or tonumber(ARGV[at + 1 + n])
  end
  local c = read[kind](key, p)
  if kind == 'c' and op ~= 'settle' then
    -- One is begun, or none.
    cost = math.min(cost, 1)
  end
  if op == 'settle' then
    added[i] = settle[kind](key, c, cost, p)
    c = read[kind](key, p)
    cost = 0
  elseif cost > 0 and state[kind](c, cost) > 0 then
    admits = 0
  end
  counters[i], costs[i], kinds[i] = c, cost, kind
end

local reply, taken = { admits }, {}
for i, key in ipairs(KEYS) do
  local c, cost, kind = counters[i], costs[i], kinds[i]
  local charged = 0
  if op == 'take' and admits == 1 then
    local _, left = state[kind](c, cost)
    local wanted = tonumber(ARGV[#KEYS * 6 + 1 + i])
    taken[i] = cost + math.max(math.min(wanted - cost, math.floor(left / 4)), 0)
    charged = taken[i]
    if charged > 0 then
      write[kind](key, c, charged)
    end
  elseif op == 'check' and admits == 1 then
    charged = cost
    if cost > 0 then
      write[kind](key, c, cost)
    end
  end
  local wait = added[i] or 0
  if op ~= 'settle' and cost > 0 then
    wait = to_micros((state[kind](c, cost)))
    if kind ~= 'c' and cost > (c.burst or c.limit) then
      wait = -1
    end
  end
  local _, left, reset, mark = state[kind](c, charged)
  reply[#reply + 1] = left
  reply[#reply + 1] = to_micros(reset)
  reply[#reply + 1] = wait
  reply[#reply + 1] = mark
end
if op == 'take' then
  for i = 1, #KEYS do
    reply[#reply + 1] = taken[i] or 0
  end
end
reply[#reply + 1] = changed()
return reply
