-- Returns the document of an upload, whether a claimant that is believed to be alive has its lease, and the failover epoch.
--
-- KEYS: the record, its lease.
--
-- The failover epoch is Redis's replication id: a server that starts, and a replica that becomes the primary, take a new one, and
-- the commits before may be lost.  It is empty where the server does not reveal it.

local replication = redis.pcall('INFO', 'replication')
local failover_epoch = type(replication) == 'string' and replication:match('master_replid:(%x+)') or ''

local ends = redis.call('HGET', KEYS[2], 'until')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return {redis.call('HGET', KEYS[1], 'document'), ends and tonumber(ends) > now and 1 or 0, failover_epoch}
