-- Returns the secret of that name, creating it first if needed.
--
-- KEYS: the secret.  ARGV: its value if it does not exist.

redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
