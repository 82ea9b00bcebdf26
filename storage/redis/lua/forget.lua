-- Deletes the row of a claimant that has let go.
--
-- KEYS: lease.  ARGV: the claimant.

if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
