-- Returns the document of the upload that has an idempotency key.
--
-- KEYS: again.  ARGV: the idempotency key.

local owner = redis.call('HGET', KEYS[1], ARGV[1])
return owner and redis.call('HGET', owner, 'document')
