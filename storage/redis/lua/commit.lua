-- Stores changes and events together, or nothing; lets go of a lease in the same step.
--
-- KEYS: events, again, due, lease; of each change its record and the index of its kind; of each event its id and its index.
-- ARGV: operation, seconds to keep event ids, who lets go of the lease or "", the number of changes;
--       of each change: expected revision or "", revision, document, and what enters the index of its kind,
--       what leaves and enters due, what leaves and enters again ("" for nothing, or "+" and a text);
--       of each event: document, and whether it has an index.
--
-- Answers "done", or why nothing was done: "changed" (the record is not at that revision), "taken" (the record is there),
-- "told" (an event of that id is), each with the number of the change or event; "again" with the document of the upload that has
-- the idempotency key.  Everything is read before anything is written, so that a key of another type stops nothing halfway.

local EVENTS, AGAIN, DUE, LEASE = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local operation, keep, holder, count = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local changes, events = {}, {}

for number = 1, count do
  local key, argument = 4 + 2 * (number - 1), 4 + 8 * (number - 1)
  local change = {record = KEYS[key + 1], index = KEYS[key + 2], expected = ARGV[argument + 1], revision = ARGV[argument + 2],
    document = ARGV[argument + 3], enters = ARGV[argument + 4], due_out = ARGV[argument + 5], due_in = ARGV[argument + 6],
    again_out = ARGV[argument + 7], again_in = ARGV[argument + 8]}
  local stored = redis.call('HMGET', change.record, 'revision', 'operation')
  if stored[2] == operation then
    return {'done'} -- before, and the answer was lost
  end
  change.stored = stored[1]
  changes[number] = change
end
for number = 1, (#KEYS - 4) / 2 - count do
  local key, argument = 4 + 2 * (count + number - 1), 4 + 8 * count + 2 * (number - 1)
  local event = {id = KEYS[key + 1], index = KEYS[key + 2], document = ARGV[argument + 1], has_index = ARGV[argument + 2] ~= ''}
  event.teller = redis.call('GET', event.id)
  if event.teller == operation then
    return {'done'}
  end
  events[number] = event
end

for number, change in ipairs(changes) do
  if change.again_in ~= '' then
    local owner = redis.call('HGET', AGAIN, change.again_in:sub(2))
    local document = owner and redis.call('HGET', owner, 'document')
    if document then
      return {'again', document}
    end
  end
  if change.expected == '' and change.stored then
    return {'taken', number}
  end
  if change.expected ~= '' and change.stored ~= change.expected then
    return {'changed', number}
  end
  redis.call('ZCARD', change.index)
end
redis.call('HLEN', AGAIN)
redis.call('ZCARD', DUE)
for number, event in ipairs(events) do
  if event.teller then
    return {'told', number}
  end
  if event.has_index then
    redis.call('ZCARD', event.index)
  end
end
redis.call('XLEN', EVENTS)
local lets_go = holder ~= '' and redis.call('HGET', LEASE, 'holder') == holder

for _, change in ipairs(changes) do
  redis.call('HSET', change.record, 'revision', change.revision, 'operation', operation, 'document', change.document)
  if change.enters ~= '' then
    redis.call('ZADD', change.index, 0, change.enters:sub(2))
  end
  if change.due_out ~= '' then
    redis.call('ZREM', DUE, change.due_out:sub(2))
  end
  if change.due_in ~= '' then
    redis.call('ZADD', DUE, 0, change.due_in:sub(2))
  end
  if change.again_out ~= '' then
    redis.call('HDEL', AGAIN, change.again_out:sub(2))
  end
  if change.again_in ~= '' then
    redis.call('HSET', AGAIN, change.again_in:sub(2), change.record)
  end
end
for _, event in ipairs(events) do
  redis.call('SET', event.id, operation, 'EX', keep)
  local position = redis.call('XADD', EVENTS, '*', 'event', event.document)
  if event.has_index then
    local milliseconds, sequence = position:match('^(%d+)-(%d+)$')
    local padded = ('0'):rep(20 - #milliseconds) .. milliseconds .. '-' .. ('0'):rep(20 - #sequence) .. sequence
    redis.call('ZADD', event.index, 0, padded)
  end
end
if lets_go then
  redis.call('DEL', LEASE)
end
return {'done'}
