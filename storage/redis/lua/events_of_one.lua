-- Returns the events that name one attachment: position, document, position, document, and so on; false when there is no event
-- at the position to go on from.
--
-- KEYS: events, the index of the attachment.  ARGV: the beginning of the range of the index, the limit, the position to go on
-- from or "".

if ARGV[3] ~= '' and #redis.call('XRANGE', KEYS[1], ARGV[3], ARGV[3]) == 0 then
  return false
end
local found = {}
for _, padded in ipairs(redis.call('ZRANGEBYLEX', KEYS[2], ARGV[1], '+', 'LIMIT', 0, ARGV[2])) do
  local milliseconds, sequence = padded:match('^0*(%d+)-0*(%d+)$')
  local position = milliseconds .. '-' .. sequence
  for _, entry in ipairs(redis.call('XRANGE', KEYS[1], position, position)) do
    found[#found + 1] = position
    found[#found + 1] = entry[2][2]
  end
end
return found
