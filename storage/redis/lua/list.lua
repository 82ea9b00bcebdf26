-- Returns the documents of the records that an index names, in its order.
--
-- KEYS: the index.  ARGV: the prefix of their names (of the same tenant, and so on the same node), the range, the limit (-1: none),
-- and how many bytes of a member come before the name.

local documents = {}
for _, member in ipairs(redis.call('ZRANGEBYLEX', KEYS[1], ARGV[2], ARGV[3], 'LIMIT', 0, ARGV[4])) do
  local document = redis.call('HGET', ARGV[1] .. member:sub(ARGV[5] + 1), 'document')
  if document then
    documents[#documents + 1] = document
  end
end
return documents
