/**
 * Counters: one hash an org and window, a field a quota key, msgpack numbers as listed in constants.ts.
 *
 * A counter is absent (unknown) when there is no such field; when its epoch is not the store's; when its time is over; and when it
 * counts held units of a lease hash that is not there any more.
 * One whose first recount is still going on is a mark: it keeps what changes meanwhile, until MARK_ENDS.
 * Nothing is written here: `storeCounters` writes what was changed once all operations of the org are done.
 */
export const counters = `
-- A time to live is never the judge of anything, so it may be late: records are judged by the instants they hold.
local function ttl(ms) return max(1, min(ms + TTL_GRACE_MS, MOST_TTL_MS)) end

-- The org at hand.
-- windows: by name, the counters loaded so far by quota key, and at 0 the key of their hash.
local base, windows, endsOf
local incarnation, hasLeases

-- Made with room for a counter.
local function newWindow(hash) return { [0] = hash, [-1] = false } end

local function windowOf(name)
  local window = windows[name]
  if not window then
    window = newWindow(name == 'lifetime' and base or base .. ':' .. name)
    windows[name] = window
  end
  return window
end

local function readCounter(text)
  local counter = { unpacked(text) }
  if not counter[REMOVED] then counter[REMOVED], counter[UNCERTAIN], counter[HELD], counter[INCARNATION] = 0, 0, 0, 0 end
  local endsAt = counter[MARK_ENDS] or counter[FORGET_AT]
  if counter[EPOCH] ~= epoch or (endsAt and now >= endsAt) then return false end
  if counter[HELD] > 0 and not (hasLeases and counter[INCARNATION] == incarnation) then return false end
  return counter
end

local function findCounter(name, key)
  local window = windowOf(name)
  local counter = window[key]
  if counter ~= nil then return counter end
  local text = redis.pcall('HGET', window[0], key)
  if type(text) == 'table' then fail() end
  counter = text and readCounter(text)
  window[key] = counter
  return counter
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

-- Counts units at a place; PLACE_RELEASE is nowhere.
local function place(counter, at, units)
  if at == PLACE_UNCERTAIN then add(counter, UNCERTAIN, units)
  elseif at == PLACE_COMMIT then add(counter, COMMITTED, units) end
end

local function sayReading(counter)
  out[size + 1], out[size + 2], out[size + 3] = counter[COMMITTED], counter[HELD], counter[UNCERTAIN]
  out[size + 4] = max(0, now - floor(counter[STAMP] / 1000))
  size = size + 4
end

local function writeCounter(counter)
  if counter[PREVIOUS] or counter[MARK_ENDS] or counter[BIRTH] then
    return pack(unpack(counter, 1, BIRTH))
  end
  if counter[FORGET_AT] then return pack(unpack(counter, 1, FORGET_AT)) end
  if counter[REMOVED] == 0 and counter[UNCERTAIN] == 0 and counter[HELD] == 0 then
    return pack(counter[COMMITTED], counter[STAMP], counter[EPOCH], counter[ADDED])
  end
  return pack(unpack(counter, 1, INCARNATION))
end

local function storeCounters()
  local setExpiry
  if endsOf then
    setExpiry = function(key, earlier, at)
      if earlier == -1 then return end
      if not at then
        if earlier > 0 then redis.call('PERSIST', key) end
        return
      end
      local ends = ttl(at - now)
      local time = redis.call('TIME')
      if earlier < time[1] * 1000 + floor(time[2] / 1000) + ends then redis.call('PEXPIRE', key, ends) end
    end
  end
  for name, window in pairs(windows) do
    local hash, fields, only = window[0], nil, nil
    for key, counter in pairs(window) do
      if counter and key ~= 0 then
        if fields then fields[#fields + 1], fields[#fields + 2] = key, writeCounter(counter)
        elseif only then fields = { only, writeCounter(window[only]), key, writeCounter(counter) }
        else only = key end
      end
    end
    local endsAt = endsOf and endsOf[name]
    local earlier = endsAt ~= nil and redis.call('PEXPIRETIME', hash)
    if fields then redis.call('HSET', hash, unpack(fields))
    elseif only then redis.call('HSET', hash, only, writeCounter(window[only])) end
    if earlier then setExpiry(hash, earlier, endsAt) end
  end
end
`;
