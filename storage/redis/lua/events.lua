-- Answers events: position, document, position, document, and so on.
--
-- KEYS: events.  ARGV: the beginning of the range, the limit, the position that it is behind or "".
--
-- Answers nothing when there is no event at that position.

if ARGV[3] ~= '' and #redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3]) == 0 then
  return false
end
local found = {}
for _, entry in ipairs(redis.call('XRANGE', KEYS[1], ARGV[1], '+', 'COUNT', ARGV[2])) do
  found[#found + 1] = entry[1]
  found[#found + 1] = entry[2][2]
end
return found
