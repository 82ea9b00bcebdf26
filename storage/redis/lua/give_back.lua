-- Puts the previous claimant back into the row of an upload.
--
-- KEYS: lease.  ARGV: the claimant to be replaced, the milliseconds that a claimant is believed to be alive and that the row is
-- kept, the previous claimant and the one that it was behind ("": as the row says).
--
-- Returns 1, or 0 if the row names another claimant.

local row = redis.call('HMGET', KEYS[1], 'holder', 'behind')
if row[1] ~= ARGV[1] then
  return 0
end
local before, behind = ARGV[4], ARGV[5]
if before == '' then
  before, behind = row[2], row[2]
end
if before == '' then
  redis.call('DEL', KEYS[1])
  return 1
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
redis.call('HSET', KEYS[1], 'holder', before, 'behind', behind, 'until', now + ARGV[2])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
return 1
