import { CHANGE, PLACE } from '../protocol.ts';

/**
 * Counters: one hash an org and window, a field a quota key, msgpack numbers as listed below.
 *
 * A counter is absent (unknown) when there is no such field; when its epoch is not the store's; when its time is over; and when it
 * counts held units of a lease hash that is not there any more.
 * One whose first recount is still going on is a mark: it keeps what changes meanwhile, until MARK_ENDS.
 * Nothing is written here: `storeCounters` writes what was changed once all operations of the org are done.
 */
export const counters = `
local COMMITTED, STAMP, EPOCH, ADDED, REMOVED, UNCERTAIN, HELD, INCARNATION = 1, 2, 3, 4, 5, 6, 7, 8
-- The stamp before the last recount and the ADDED its token showed, if units were added after that token; else nil.
local PREVIOUS, BEGUN = 9, 10
local FORGET_AT, MARK_ENDS, BIRTH, FIELDS = 11, 12, 13, 13
local MARK_MS = 600000

-- A time to live is never the judge of anything, so it may be late: records are judged by the instants they hold.
local function ttl(ms) return max(1, min(ms + 60000, 1e12)) end

-- The org at hand.
local base, windowKeys, countersOf, endsOf
local incarnation, hasLeases

local function counterKey(window)
  return windowKeys[window] or (window == 'lifetime' and base or base .. ':' .. window)
end

local function readCounter(text)
  local counter = { unpacked(text) }
  if not counter[REMOVED] then counter[REMOVED], counter[UNCERTAIN], counter[HELD], counter[INCARNATION] = 0, 0, 0, 0 end
  local endsAt = counter[MARK_ENDS] or counter[FORGET_AT]
  if counter[EPOCH] ~= epoch or (endsAt and now >= endsAt) then return false end
  if counter[HELD] > 0 and not (hasLeases and counter[INCARNATION] == incarnation) then return false end
  return counter
end

local function findCounter(window, key)
  local known = countersOf[window]
  if not known then known = {}; countersOf[window] = known end
  local counter = known[key]
  if counter ~= nil then return counter end
  local text = redis.pcall('HGET', counterKey(window), key)
  if type(text) == 'table' then fail() end
  counter = text and readCounter(text)
  known[key] = counter
  return counter
end

-- Loads many at once: one command a window.
local function loadCounters(refs)
  local missing = {}
  for index = 1, #refs do
    local window, key = refs[index][1], refs[index][2]
    local known = countersOf[window]
    if not known then known = {}; countersOf[window] = known end
    if known[key] == nil then
      local keys = missing[window] or {}
      keys[#keys + 1], missing[window] = key, keys
    end
  end
  for window, keys in pairs(missing) do
    local texts = redis.pcall('HMGET', counterKey(window), unpack(keys))
    if texts.err then fail() end
    for index = 1, #keys do countersOf[window][keys[index]] = texts[index] and readCounter(texts[index]) end
  end
end

-- Keeps the hash of a window at least until an instant; false: for good.
local function keepUntil(window, at)
  endsOf = endsOf or {}
  local earlier = endsOf[window]
  if earlier == nil then endsOf[window] = at
  elseif earlier and (not at or at > earlier) then endsOf[window] = at end
end

local function later(a, b) return a and b and max(a, b) or nil end

local function extend(counter, window, forgetAt)
  local at = later(counter[FORGET_AT], forgetAt or nil)
  if at ~= counter[FORGET_AT] then
    counter[FORGET_AT] = at
    if not at then counter[BIRTH] = nil end
    if not counter[MARK_ENDS] then keepUntil(window, at or false) end
  end
end

local function room(counter, limit)
  return limit - counter[COMMITTED] - counter[UNCERTAIN] - counter[HELD]
end

local function isCounted(counter) return counter and not counter[MARK_ENDS] end

local function add(counter, field, units)
  counter[field] = counter[field] + min(units, room(counter, MOST))
  counter[ADDED] = min(counter[ADDED] + units, MOST)
end

local function take(counter, field, units) counter[field] = max(0, counter[field] - units) end

local function adjustCounter(counter, window, units, change, forgetAt)
  extend(counter, window, forgetAt)
  if change == ${CHANGE.charged} then return add(counter, COMMITTED, units) end
  if change == ${CHANGE.created} then return add(counter, UNCERTAIN, units) end
  local taken = min(units, counter[COMMITTED])
  counter[COMMITTED] = counter[COMMITTED] - taken
  if change == ${CHANGE.deleted} then counter[UNCERTAIN] = counter[UNCERTAIN] + taken end
  counter[REMOVED] = min(counter[REMOVED] + units, MOST)
end

-- Counts units at a place; ${PLACE.release} is nowhere.
local function place(counter, at, units)
  if at == ${PLACE.uncertain} then add(counter, UNCERTAIN, units)
  elseif at == ${PLACE.commit} then add(counter, COMMITTED, units) end
end

local function sayReading(counter)
  say(counter[COMMITTED])
  say(counter[HELD])
  say(counter[UNCERTAIN])
  say(max(0, now - floor(counter[STAMP] / 1000)))
end

local function writeCounter(counter)
  if counter[REMOVED] == 0 and counter[UNCERTAIN] == 0 and counter[HELD] == 0
    and not (counter[PREVIOUS] or counter[FORGET_AT] or counter[MARK_ENDS]) then
    return pack(unpack(counter, 1, ADDED))
  end
  return pack(unpack(counter, 1, FIELDS))
end

local function setExpiry(key, earlier, at)
  if earlier == -1 then return end
  if not at then
    if earlier > 0 then redis.call('PERSIST', key) end
    return
  end
  local ends = ttl(at - now)
  local time = redis.call('TIME')
  if earlier < time[1] * 1000 + floor(time[2] / 1000) + ends then redis.call('PEXPIRE', key, ends) end
end

local function storeCounters()
  for window, known in pairs(countersOf) do
    local key, fields, count = counterKey(window), {}, 0
    for name, counter in pairs(known) do
      if counter then
        fields[count + 1], fields[count + 2] = name, writeCounter(counter)
        count = count + 2
      end
    end
    local endsAt = endsOf and endsOf[window]
    local earlier = endsAt ~= nil and redis.call('PEXPIRETIME', key)
    if count > 0 then redis.call('HSET', key, unpack(fields)) end
    if earlier then setExpiry(key, earlier, endsAt) end
  end
end
`;
