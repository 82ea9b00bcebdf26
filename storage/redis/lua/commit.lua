-- Stores changes, adjustments of counters and events together, or nothing; lets go of a lease in the same step.
--
-- KEYS: events, again, due, lease, counters, done; of each change its record and the index of its kind; of each event its id and
-- its index.
-- ARGV: operation, seconds to keep event ids, the claimant that lets go of the lease or "", "1" if done marks the operation, the
--       number of changes, that of adjustments;
--       of each change: expected revision or "", revision, document, and what enters the index of its kind,
--       what leaves and enters due, what leaves and enters again ("" for nothing, or "+" and a text);
--       of each adjustment: the name of the counter, what is added, and its bound;
--       of each event: document, and whether it has an index.
--
-- Returns "done", or why nothing was done, each with its number: "changed" (the record is not at that revision), "taken" (the record
-- exists), "repeated" (an event of that id exists), "exceeded" (a counter would pass its bound); or "again" with the document of
-- the upload that has the idempotency key.  All reads come before the first write: a key of a wrong type then changes nothing.

local EVENTS, AGAIN, DUE, LEASE, COUNTERS, DONE = KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6]
local operation, keep, holder, marks = ARGV[1], ARGV[2], ARGV[3], ARGV[4] ~= ''
local count, adjustments = tonumber(ARGV[5]), tonumber(ARGV[6])
local changes, events, counters = {}, {}, {}

for number = 1, count do
  local key, argument = 6 + 2 * (number - 1), 6 + 8 * (number - 1)
  local change = {record = KEYS[key + 1], index = KEYS[key + 2], expected = ARGV[argument + 1], revision = ARGV[argument + 2],
    document = ARGV[argument + 3], enters = ARGV[argument + 4], due_out = ARGV[argument + 5], due_in = ARGV[argument + 6],
    again_out = ARGV[argument + 7], again_in = ARGV[argument + 8]}
  local stored = redis.call('HMGET', change.record, 'revision', 'operation')
  if stored[2] == operation then
    return {'done'} -- by an earlier try whose answer was lost
  end
  change.stored = stored[1]
  changes[number] = change
end
for number = 1, (#KEYS - 6) / 2 - count do
  local key, argument = 6 + 2 * (count + number - 1), 6 + 8 * count + 3 * adjustments + 2 * (number - 1)
  local event = {id = KEYS[key + 1], index = KEYS[key + 2], document = ARGV[argument + 1], has_index = ARGV[argument + 2] ~= ''}
  event.writer = redis.call('GET', event.id)
  if event.writer == operation then
    return {'done'}
  end
  events[number] = event
end
if marks and redis.call('EXISTS', DONE) == 1 then
  return {'done'}
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
  if event.writer then
    return {'repeated', number}
  end
  if event.has_index then
    redis.call('ZCARD', event.index)
  end
end
redis.call('XLEN', EVENTS)
for number = 1, adjustments do
  local argument = 6 + 8 * count + 3 * (number - 1)
  local name, by, bound = ARGV[argument + 1], tonumber(ARGV[argument + 2]), tonumber(ARGV[argument + 3])
  local value = (counters[name] or tonumber(redis.call('HGET', COUNTERS, name) or 0)) + by
  if by > 0 and value > bound then
    return {'exceeded', number}
  end
  counters[name] = math.max(0, value)
end
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
for name, value in pairs(counters) do
  redis.call('HSET', COUNTERS, name, string.format('%.0f', value))
end
if marks then
  redis.call('SET', DONE, 1, 'EX', keep)
end
if lets_go then
  redis.call('DEL', LEASE)
end
return {'done'}
