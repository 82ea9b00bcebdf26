-- Returns events: position, document, position, document, and so on; false when there is no event at the position to go on from.
--
-- KEYS: events.  ARGV: the beginning of the range, the limit, the position to go on from or "".

if ARGV[3] ~= '' and #redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3]) == 0 then
  return false
end
local found = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])) do
  found[#found + 1] = entry[1]
  found[#found + 1] = entry[2][2]
end
return found
