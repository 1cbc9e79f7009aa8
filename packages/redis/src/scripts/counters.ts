/**
 * Counters: one hash per org and window, one field per quota key, msgpack numbers as listed in constants.ts.
 *
 * A counter is absent (unknown) if there is no such field; if its epoch is not the store's; if its time is over; or if it counts held
 * units of a lease hash that no longer exists.
 * A counter whose first recount is still in progress is a mark: it collects the changes meanwhile, until MARK_ENDS.
 * Operations change what is loaded, and write nothing: `storeCounters` writes it once all operations of the org are done.
 */
export const counters = `
-- A time to live may be late, since it decides nothing: whether a record has ended is judged by the instant it holds.
local function ttl(ms) return max(1, min(ms + TTL_GRACE_MS, MOST_TTL_MS)) end

-- The current org: its lease hash, the windows declared for it, and the position in KEYS just before their hashes.
local leasesKey, declared, declaredAt
local incarnation, hasLeases
-- Its loaded counters, in parallel lists that are reused by the next org. A counter is false if there is none.
local loaded, windowOf, keyOf, hashOf, counterOf = 0, {}, {}, {}, {}
-- Until when a hash must be kept, by hash; false is for good.
local endsOf

-- With many counters, an index of those that were loaded before the last look-up.
local indexed, indexOf = 0, {}

-- Lua can pass only a few thousand values at once.
local function callWithAll(command, key, list, count)
  if count <= 4000 then return call(command, key, unpack(list, 1, count)) end
  for index = 1, count, 4000 do call(command, key, unpack(list, index, min(index + 3999, count))) end
end

local function openCounters()
  loaded, endsOf = 0, nil
  if indexed > 0 then indexed, indexOf = 0, {} end
end

-- A counter's position in the lists; nil if it is not loaded.
local function positionOf(window, key)
  if loaded <= 16 then
    for index = 1, loaded do
      if keyOf[index] == key and windowOf[index] == window then return index end
    end
    return nil
  end
  for index = indexed + 1, loaded do
    indexOf[#keyOf[index] .. ':' .. keyOf[index] .. windowOf[index]] = index
  end
  indexed = loaded
  return indexOf[#key .. ':' .. key .. window]
end

local function base() return sub(leasesKey, 1, -3) end

local function spell(window)
  for index = 1, #declared do
    if declared[index] == window then return keyList[declaredAt + index] end
  end
  return window == 'lifetime' and base() or base() .. ':' .. window
end

local function isOver(counter)
  local endsAt = counter[MARK_ENDS] or counter[FORGET_AT]
  return endsAt and now >= endsAt
end

local function readCounter(text)
  local counter = { unpacked(text) }
  if not counter[REMOVED] then counter[REMOVED], counter[UNCERTAIN], counter[HELD], counter[INCARNATION] = 0, 0, 0, 0 end
  if counter[EPOCH] ~= epoch or isOver(counter) then return false end
  if counter[HELD] > 0 and not (hasLeases and counter[INCARNATION] == incarnation) then return false end
  return counter
end

local function setCounter(window, key, hash, counter)
  local index = positionOf(window, key) or loaded + 1
  if index > loaded then loaded = index end
  windowOf[index], keyOf[index], hashOf[index], counterOf[index] = window, key, hash, counter
end

-- false if there is none, or if its hash cannot be read: isUnreadable is set then.
local function findCounter(window, key)
  local position = positionOf(window, key)
  if position then
    local known = counterOf[position]
    -- It may have been recounted in this very batch although its time is over.
    return known and not isOver(known) and known
  end
  local hash, counter = spell(window), false
  local text = try('HGET', hash, key)
  if text then
    if type(text) == 'table' then
      isUnreadable = true
      return false
    end
    counter = readCounter(text)
  end
  local index = loaded + 1
  windowOf[index], keyOf[index], hashOf[index], counterOf[index] = window, key, hash, counter
  loaded = index
  return counter
end

local function keepUntil(window, at)
  local hash = spell(window)
  endsOf = endsOf or {}
  local earlier = endsOf[hash]
  if earlier == nil then endsOf[hash] = at
  elseif earlier and (not at or at > earlier) then endsOf[hash] = at end
end

local function later(a, b) return a and b and max(a, b) or nil end

local function extend(counter, window, forgetAt)
  local at = later(counter[FORGET_AT], forgetAt or nil)
  if at ~= counter[FORGET_AT] then
    counter[FORGET_AT] = at
    if not counter[MARK_ENDS] then keepUntil(window, at or false) end
  end
end

local function room(counter, limit)
  return limit - counter[COMMITTED] - counter[UNCERTAIN] - counter[HELD]
end

local function isCounted(counter) return counter and not counter[MARK_ENDS] end

local function add(counter, field, units)
  local space, added = room(counter, MOST), counter[ADDED] + units
  counter[field] = counter[field] + (units < space and units or space)
  counter[ADDED] = added < MOST and added or MOST
end

local function take(counter, field, units)
  local left = counter[field] - units
  counter[field] = left > 0 and left or 0
end

-- Counts units at a place; PLACE_RELEASE is nowhere.
local function place(counter, at, units)
  if at == PLACE_UNCERTAIN then add(counter, UNCERTAIN, units)
  elseif at == PLACE_COMMIT then add(counter, COMMITTED, units) end
end

local function sayReading(counter)
  local list, at, stamp = out, size, counter[STAMP]
  local age = now - (stamp - stamp % 1000) / 1000
  list[at + 1], list[at + 2], list[at + 3] = counter[COMMITTED], counter[HELD], counter[UNCERTAIN]
  list[at + 4] = age > 0 and age or 0
  size = at + 4
end

local function writeCounter(counter)
  if counter[PREVIOUS] or counter[MARK_ENDS] or counter[BIRTH] then
    return pack(unpack(counter, 1, BIRTH))
  end
  if not counter[FORGET_AT] and counter[REMOVED] == 0 and counter[UNCERTAIN] == 0 and counter[HELD] == 0 then
    return pack(counter[COMMITTED], counter[STAMP], counter[EPOCH], counter[ADDED])
  end
  -- Packed in one go as an array, without the byte that is the array's length.
  return sub(pack(counter), 2)
end

local function storeExpiries(earlierOf)
  for hash, at in pairs(endsOf) do
    local earlier = earlierOf[hash]
    if earlier ~= -1 then
      if not at then
        if earlier > 0 then call('PERSIST', hash) end
      else
        local ends = ttl(at - now)
        local time = call('TIME')
        if earlier < time[1] * 1000 + floor(time[2] / 1000) + ends then call('PEXPIRE', hash, ends) end
      end
    end
  end
end

local function storeCounters()
  local earlierOf
  if endsOf then
    earlierOf = {}
    for hash in pairs(endsOf) do earlierOf[hash] = call('PEXPIRETIME', hash) end
  end
  if loaded == 1 then
    if counterOf[1] then call('HSET', hashOf[1], keyOf[1], writeCounter(counterOf[1])) end
  else
    local fieldsOf = {}
    for index = 1, loaded do
      local hash, counter = hashOf[index], counterOf[index]
      if counter then
        local fields = fieldsOf[hash] or {}
        fieldsOf[hash] = fields
        fields[#fields + 1], fields[#fields + 2] = keyOf[index], writeCounter(counter)
      end
    end
    for hash, fields in pairs(fieldsOf) do callWithAll('HSET', hash, fields, #fields) end
  end
  if endsOf then storeExpiries(earlierOf) end
end
`;
