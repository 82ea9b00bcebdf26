-- Returns the documents of records, in the order of their names; false for one that does not exist.
--
-- KEYS: the records.

local documents = {}
for number, record in ipairs(KEYS) do
  documents[number] = redis.call('HGET', record, 'document')
end
return documents
