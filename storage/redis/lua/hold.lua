-- Takes the lease of an upload if it is free.
--
-- KEYS: the record, its lease, epoch.  ARGV: the claimant, the milliseconds that it is believed to be alive and that the row is kept.
--
-- Returns the document, the epoch, and the failover epoch (see status.lua); an epoch of 0 when the lease is not free, or the upload
-- does not exist.

local replication = redis.pcall('INFO', 'replication')
local failover_epoch = type(replication) == 'string' and replication:match('master_replid:(%x+)') or ''
local document = redis.call('HGET', KEYS[1], 'document')
if not document then
  return {false, 0, failover_epoch}
end
local row = redis.call('HMGET', KEYS[2], 'holder', 'epoch')
if row[1] == ARGV[1] then -- an earlier try took it, and the answer was lost
  return {document, tonumber(row[2]), failover_epoch}
end
if row[1] then
  return {document, 0, failover_epoch}
end
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local epoch = string.format('%.0f', math.max((tonumber(redis.call('GET', KEYS[3]) or 0) or 0) + 1, time[1] * 1000000 + time[2]))
redis.call('SET', KEYS[3], epoch)
redis.call('HSET', KEYS[2], 'holder', ARGV[1], 'behind', '', 'until', now + ARGV[2], 'epoch', epoch)
redis.call('PEXPIRE', KEYS[2], ARGV[3])
return {document, tonumber(epoch), failover_epoch}
