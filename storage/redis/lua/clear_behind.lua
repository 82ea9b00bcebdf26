-- Records that a claimant is behind no other.
--
-- KEYS: lease.  ARGV: the claimant.

if redis.call('HGET', KEYS[1], 'holder') == ARGV[1] then
  redis.call('HSET', KEYS[1], 'behind', '')
end
