-- Writes a claimant into the row, and asks the claimant that it replaces to let go.
--
-- KEYS: lease, epoch.  ARGV: the claimant, the milliseconds that it is believed to be alive and that the row is kept,
-- the prefix of channels.
--
-- Returns the epoch, and for a replaced claimant: its name, the one that it is behind, whether it is believed to be alive, and how
-- many subscribers its channel has.  Epochs follow the clock, so that they grow even when Redis has lost them.

local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local row = redis.call('HMGET', KEYS[1], 'holder', 'behind', 'until', 'epoch')
local holder, behind = row[1], row[2]
if holder == ARGV[1] then -- an earlier try wrote it, and the answer was lost
  if behind == '' then
    return {tonumber(row[4])}
  end
  return {tonumber(row[4]), behind, behind, 1, 0}
end
local epoch = string.format('%.0f', math.max((tonumber(redis.call('GET', KEYS[2]) or 0) or 0) + 1, time[1] * 1000000 + time[2]))
redis.call('SET', KEYS[2], epoch)
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'behind', holder or '', 'until', now + ARGV[2], 'epoch', epoch)
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if not holder then
  return {tonumber(epoch)}
end
local process, serial = holder:match('^(.*)/(.*)$')
local listeners = redis.call('PUBLISH', ARGV[4] .. process, 'evict ' .. serial .. ' ' .. ARGV[1])
return {tonumber(epoch), holder, behind, tonumber(row[3]) > now and 1 or 0, listeners}
