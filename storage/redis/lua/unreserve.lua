-- Takes back a reservation that was not used.
--
-- KEYS: the reservation.  ARGV: the operation.

if redis.call('GET', KEYS[1]) == ARGV[1] then
  redis.call('DEL', KEYS[1])
end
