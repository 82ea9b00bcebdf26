-- Takes the lease of an upload if nobody has it.
--
-- KEYS: the record, its lease, epoch.  ARGV: the claimant, the milliseconds that it is believed to be alive and that the row is kept.
--
-- Answers the document, the epoch, and the timeline (see look.lua); an epoch of 0 when nothing was taken, because somebody has the
-- lease, or there is no such upload.

local replication = redis.pcall('INFO', 'replication')
local timeline = type(replication) == 'string' and replication:match('master_replid:(%x+)') or ''
local document = redis.call('HGET', KEYS[1], 'document')
if not document then
  return {false, 0, timeline}
end
local row = redis.call('HMGET', KEYS[2], 'holder', 'epoch')
if row[1] == ARGV[1] then -- before, and the answer was lost
  return {document, tonumber(row[2]), timeline}
end
if row[1] then
  return {document, 0, timeline}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = string.format('%.0f', math.max((tonumber(redis.call('GET', KEYS[3]) or 0) or 0) + 1, time[1] * 1000000 + time[2]))
redis.call('SET', KEYS[3], epoch)
redis.call('HSET', KEYS[2], 'holder', ARGV[1], 'behind', '', 'until', now + ARGV[2], 'epoch', epoch)
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {document, tonumber(epoch), timeline}
