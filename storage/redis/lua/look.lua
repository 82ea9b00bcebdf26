-- Answers the document of an upload, and whether somebody who is believed to be alive has its lease.
--
-- KEYS: the record, its lease.

local ends = redis.call('HGET', KEYS[2], 'until')
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
return {redis.call('HGET', KEYS[1], 'document'), ends and tonumber(ends) > now and 1 or 0}
