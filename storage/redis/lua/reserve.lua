-- Reserves the key of a new upload; returns 1 if the reservation belongs to the operation.
--
-- KEYS: the reservation.  ARGV: the operation.

if redis.call('SET', KEYS[1], ARGV[1], 'NX') then
  return 1
end
return redis.call('GET', KEYS[1]) == ARGV[1] and 1 or 0
