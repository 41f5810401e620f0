-- The bans that all hosts share.
--
-- KEYS[1]  a sorted set: what is banned, by the millisecond until when; KEYS[2] counts the changes; KEYS[3] a sorted set of what was
--          banned until then and is not any more: for hosts that have not heard of its end
-- ARGV[1]  "ban", with a name and for how many milliseconds; "lift", with a name; or "list"
-- Returns the number of the last change; then of "lift" whether there was one, and of "list" names and the
-- milliseconds that are left, less than 0 for what is not banned any more.

local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local op = ARGV[1]

local function whole(number)
  return string.format('%.0f', number)
end

redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', whole(now))
redis.call('ZREMRANGEBYSCORE', KEYS[3], '-inf', whole(now))

if op == 'ban' then
  local till = now + tonumber(ARGV[3])
  if till > tonumber(redis.call('ZSCORE', KEYS[1], ARGV[2]) or '0') then
    redis.call('ZADD', KEYS[1], whole(till), ARGV[2])
    redis.call('ZREM', KEYS[3], ARGV[2])
    return { redis.call('INCR', KEYS[2]) }
  end
  return { tonumber(redis.call('GET', KEYS[2]) or '0') }
end

if op == 'lift' then
  local till = redis.call('ZSCORE', KEYS[1], ARGV[2])
  if till then
    redis.call('ZREM', KEYS[1], ARGV[2])
    redis.call('ZADD', KEYS[3], till, ARGV[2])
  end
  return { redis.call('INCR', KEYS[2]), till and 1 or 0 }
end

local reply = { tonumber(redis.call('GET', KEYS[2]) or '0') }
for set, sign in pairs({ [1] = 1, [3] = -1 }) do
  local found = redis.call('ZREVRANGE', KEYS[set], 0, 9999, 'WITHSCORES')
  for at = 1, #found, 2 do
    reply[#reply + 1] = found[at]
    reply[#reply + 1] = (tonumber(found[at + 1]) - now) * sign
  end
end
return reply
