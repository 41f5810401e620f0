-- The bans that all hosts share, and which of them changed when.
--
-- KEYS[1]  a sorted set: what is banned, by the millisecond until when
-- KEYS[2]  the number of the last change: of the microsecond in which it was made, or one more than the one before. So what a server
--          has forgotten never comes again under a number that somebody has seen
-- KEYS[3]  a sorted set: what is not banned any more, by the millisecond until when that is told
-- KEYS[4]  a sorted set: what is in one of the two, by the number of its last change
-- ARGV[1]  "ban", with a name and for how many milliseconds;
--          "lift", with a name and for how many milliseconds that is told where nothing is known of the ban; or
--          "list", with a number that was seen, and how many changes at most
-- Returns the number of the last change; then
--          of "lift" whether there was a ban, and for how many milliseconds its end is told;
--          of "list" the number that is seen now, less than the first if there is more; and for each change after the one that was seen,
--          its name, its number, and the milliseconds that are left, less than 0 for what is not banned any more.

local MOST_BANS, MOST_LIFTED, AT_ONCE = 100000, 10000, 500

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local op = ARGV[1]
local banned, changes, lifted, log = KEYS[1], KEYS[2], KEYS[3], KEYS[4]

local function whole(number)
  return string.format('%.0f', number)
end

local function score(set, name)
  return tonumber(redis.call('ZSCORE', set, name) or '0') or 0
end

local last = tonumber(redis.call('GET', changes) or '0') or 0
if not (last >= 0 and last < 2 ^ 52) then
  last = 0
end

if op == 'list' then
  local seen, most = tonumber(ARGV[2]), tonumber(ARGV[3])
  if seen > last then
    -- The server has forgotten it, and all before.
    seen = 0
  end
  local found = redis.call('ZRANGEBYSCORE', log, '(' .. whole(seen), '+inf', 'WITHSCORES', 'LIMIT', 0, most)
  local reply = { last, last }
  for at = 1, #found, 2 do
    local name, number = found[at], tonumber(found[at + 1])
    local left = math.max(score(banned, name) - now, 0)
    if left == 0 then
      left = math.min(now - score(lifted, name), 0)
    end
    -- Thirty years are for ever, and can be told as a whole number.
    left = math.max(math.min(left, 1e12), -1e12)
    if left ~= 0 then
      reply[#reply + 1] = name
      reply[#reply + 1] = number
      reply[#reply + 1] = left
    end
    if at == most * 2 - 1 then
      reply[2] = math.min(number, last)
    end
  end
  return reply
end

local function forget(set, names)
  for _, name in ipairs(names) do
    redis.call('ZREM', set, name)
    redis.call('ZREM', log, name)
  end
end

local function note(set, most, other, name, till)
  last = math.max(last + 1, tonumber(time[1]) * 1000000 + tonumber(time[2]))
  redis.call('SET', changes, whole(last))
  redis.call('ZADD', set, whole(till), name)
  redis.call('ZREM', other, name)
  redis.call('ZADD', log, whole(last), name)
  -- What ends first goes first: hosts that have heard of it keep it.
  local over = redis.call('ZCARD', set) - most
  if over > 0 then
    forget(set, redis.call('ZRANGE', set, 0, math.min(over, AT_ONCE) - 1))
  end
end

for _, set in ipairs({ banned, lifted }) do
  forget(set, redis.call('ZRANGEBYSCORE', set, '-inf', whole(now), 'LIMIT', 0, AT_ONCE))
end

local name = ARGV[2]
local till = score(banned, name)
if op == 'ban' then
  local wanted = now + tonumber(ARGV[3])
  if wanted > till then
    note(banned, MOST_BANS, lifted, name, wanted)
  end
  return { last }
end

local told = math.max(till > now and till or now + tonumber(ARGV[3]), score(lifted, name))
note(lifted, MOST_LIFTED, banned, name, told)
return { last, till > now and 1 or 0, told - now }
