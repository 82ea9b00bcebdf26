-- Answers the document of an upload, whether somebody who is believed to be alive has its lease, and the timeline.
--
-- KEYS: the record, its lease.
--
-- A server that starts, and a replica that becomes the primary, give the history of their data a new name; before that, commits may
-- have been lost.  Who does not say how it calls it may have lost some.

local replication = redis.pcall('INFO', 'replication')
local timeline = type(replication) == 'string' and replication:match('master_replid:(%x+)') or ''

local ends = redis.call('HGET', KEYS[2], 'until')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return {redis.call('HGET', KEYS[1], 'document'), ends and tonumber(ends) > now and 1 or 0, timeline}
