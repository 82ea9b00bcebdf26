-- Answers the secret of that name, which is the one that came first.
--
-- KEYS: the secret.  ARGV: what it is if there is none yet.

redis.call('SET', KEYS[1], ARGV[1], 'NX')
return redis.call('GET', KEYS[1])
