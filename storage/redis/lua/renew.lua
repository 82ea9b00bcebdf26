-- Extends the time in which a claimant is believed to be alive.
--
-- KEYS: lease.  ARGV: the claimant, the milliseconds that it is believed to be alive and that the row is kept.
--
-- Returns the claimant that the row names instead, or false.

local holder = redis.call('HGET', KEYS[1], 'holder')
if holder ~= ARGV[1] then
  return holder
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'until', now + ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return false
