/**
 * The reservations of an org.
 *
 * `<base>|l` hash of the live ones by id: msgpack `deadline, rememberMs, core, stamp of each charge's counter`; its field '' is the head.
 * `<base>|i:<id>` string with a time to live, one for each that ended and is remembered: msgpack `endsAt, state, rememberMs, core`,
 *    and if it lapsed, for each charge `stamp, place, stamp and ADDED at the lapse, birth`.
 * `<base>|a:<id>` string with a time to live, one for each adjustment that is remembered: when it is forgotten.
 * A core is JSON, `[[window, key, amount, onUnknown, limit], ...]`: repeats are compared with it and settles go by it. Those of earlier
 *    releases have no limit.
 *
 * The head holds `incarnation, earliest, rememberedUntil, keptUntil, mostLive`. Two of these are bounds, so that most batches neither scan
 * the live reservations nor count them. No deadline is before `earliest`: once that has passed, all are scanned and it moves on. At most
 * `mostLive` are live: they are counted only if that bound cannot decide.
 */
export const leases = `
-- The current org. rememberedUntil: when the last remembered id is forgotten; keptUntil: when the lease hash itself ends.
local head, isHeadNew, earliest, rememberedUntil, keptUntil, isExtended
-- How many were live before this batch: at most mostLive, and exactly that if isExact. headLive: the bound in the stored head.
local mostLive, headLive, isExact
-- How many this batch adds; below 0 if it removes more.
local liveChange
-- leaseOf: by id, as stored; false if there is none. The lists are reused by the next org.
local leaseOf, idCount, ids, touchedCount, touched, hasAll = {}, 0, {}, 0, {}, false
local fields, removed = {}, {}
local pastOf, isPastTouched
-- Until when adjustments of this batch are remembered, by key; nil if there are none.
local adjustedUntil

local function openLeases()
  touchedCount, liveChange, pastOf, isPastTouched, isHeadNew, isExtended = 0, 0, nil, nil, false, false
  adjustedUntil = nil
  local values = try('HMGET', leasesKey, '', unpack(ids, 1, idCount))
  if values.err then
    head = false
    return false
  end
  head = values[1]
  hasLeases = head ~= false
  if head then
    incarnation, earliest, rememberedUntil, keptUntil, headLive = unpacked(head)
    -- A value that is no number raises its error here, before anything is written.
    if incarnation < 0 or earliest < 0 or rememberedUntil < 0 or keptUntil < 0 or headLive < 0 then fail() end
    mostLive, isExact = headLive, false
  else
    incarnation, earliest, rememberedUntil, keptUntil = nonce, NEVER, 0, 0
    headLive, mostLive, isExact = 0, 0, true
  end
  leaseOf, hasAll = {}, false
  local ofId, list = leaseOf, ids
  for index = 1, idCount do ofId[list[index]] = values[index + 1] end
  return true
end

local function countLive()
  if not isExact then mostLive, isExact = call('HLEN', leasesKey) - 1, true end
  return mostLive + liveChange
end

-- Whether at least so many are live.
local function hasLive(least)
  return mostLive + liveChange >= least and countLive() >= least
end

local function loadAllLeases()
  if hasAll then return end
  hasAll = true
  local list = call('HGETALL', leasesKey)
  if head then mostLive, isExact = #list / 2 - 1, true end
  for index = 1, #list, 2 do
    local id = list[index]
    if id ~= '' and leaseOf[id] == nil then
      leaseOf[id] = list[index + 1]
    end
  end
end

local function pastKey(id) return base() .. '|i:' .. id end

-- false if there is none, or if it cannot be read: isUnreadable is set then. Call it only while any id is remembered.
local function findPast(id)
  pastOf, isPastTouched = pastOf or {}, isPastTouched or {}
  local past = pastOf[id]
  if past ~= nil then return past end
  local text = try('GET', pastKey(id))
  if type(text) == 'table' then
    isUnreadable = true
    return false
  end
  past = text and { unpacked(text) }
  if past and past[PAST_ENDS] <= now then past = false end
  pastOf[id] = past
  return past
end

local function setPast(id, past)
  pastOf, isPastTouched = pastOf or {}, isPastTouched or {}
  pastOf[id], isPastTouched[id] = past, true
  if past and past[PAST_ENDS] > rememberedUntil then rememberedUntil, isHeadNew = past[PAST_ENDS], true end
end

local function setLease(id, lease)
  if not lease then liveChange = liveChange - 1
  elseif not leaseOf[id] then liveChange = liveChange + 1 end
  leaseOf[id], hasLeases = lease, true
  touchedCount = touchedCount + 1
  touched[touchedCount] = id
end

local function expect(deadline, rememberMs)
  if deadline < earliest then earliest, isHeadNew = deadline, true end
  local needed = deadline + (lapsedKeepMs > rememberMs and lapsedKeepMs or rememberMs)
  if needed > keptUntil then keptUntil, isExtended = needed + LEASES_GRACE_MS, true end
end

-- Runs before an org's operations. The units of leases that ran out are counted as their charges say. Writes nothing.
local function lapseAll()
  local function lapse(id)
    local lease = { unpacked(leaseOf[id]) }
    local charges, ends = cjson.decode(lease[CORE]), lease[DEADLINE] + max(lapsedKeepMs, lease[REMEMBER])
    local past = { ends, STATE_LAPSED, lease[REMEMBER], lease[CORE] }
    local counters = {}
    for index = 1, #charges do counters[index] = findCounter(charges[index][1], charges[index][2]) end
    if isUnreadable or type(try('EXISTS', pastKey(id))) == 'table' then fail() end
    for index = 1, #charges do
      local counter, at, units = counters[index], charges[index][4], charges[index][3]
      local field = PAST_CORE + (index - 1) * LAPSE_FIELDS
      past[field + 1], past[field + 2] = lease[CORE + index], PLACE_RELEASE
      past[field + 3], past[field + 4], past[field + 5] = 0, 0, 0
      if counter then
        take(counter, HELD, units)
        place(counter, at, units)
        past[field + 2], past[field + 3] = at, counter[STAMP]
        past[field + 4], past[field + 5] = counter[ADDED], counter[BIRTH] or 0
      end
    end
    setLease(id, false)
    if ends > now then setPast(id, past) end
  end

  loadAllLeases()
  earliest, isHeadNew = NEVER, true
  local ended = {}
  for id, lease in pairs(leaseOf) do
    if lease then
      local deadline = unpacked(lease)
      if deadline <= now then ended[#ended + 1] = id else earliest = min(earliest, deadline) end
    end
  end
  for index = 1, #ended do lapse(ended[index]) end
end

-- Where a lapsed charge's units are counted now: nowhere after a recount that may have seen them, or the loss of the counter.
local function placeOfLapsed(past, index, counter)
  local field = PAST_CORE + (index - 1) * LAPSE_FIELDS
  local at, stamp, added, birth = past[field + 2], past[field + 3], past[field + 4], past[field + 5]
  if at == PLACE_UNCERTAIN and stamp ~= counter[STAMP] then
    local isSeen = counter[PREVIOUS] ~= stamp or added <= counter[BEGUN]
    if isSeen then return PLACE_RELEASE end
  end
  if at == PLACE_COMMIT and birth ~= (counter[BIRTH] or 0) then return PLACE_RELEASE end
  return at
end

local function storePast()
  for id in pairs(isPastTouched) do
    local past, key = pastOf[id], pastKey(id)
    if not past then call('DEL', key)
    else call('SET', key, pack(unpack(past)), 'PX', ttl(past[PAST_ENDS] - now)) end
  end
end

local function storeAdjusted()
  for key, at in pairs(adjustedUntil) do call('SET', key, string.format('%.0f', at), 'PX', ttl(at - now)) end
end

local function storeLeases()
  local fieldCount, removedCount = 0, 0
  for index = 1, touchedCount do
    local id = touched[index]
    local lease = leaseOf[id]
    if lease then
      fields[fieldCount + 1], fields[fieldCount + 2] = id, lease
      fieldCount = fieldCount + 2
    else
      removedCount = removedCount + 1
      removed[removedCount] = id
    end
  end
  -- The exact count, not the bound: a deleted hash is gone.
  if fieldCount == 0 and rememberedUntil <= now and countLive() == 0 then
    if head then call('DEL', leasesKey) end
    return
  end
  if rememberedUntil > keptUntil then keptUntil, isExtended = rememberedUntil + LEASES_GRACE_MS, true end
  local live = mostLive + liveChange
  if isHeadNew or isExtended or live > headLive or (isExact and live < headLive) then
    fields[fieldCount + 1], fields[fieldCount + 2] = '', pack(incarnation, earliest, rememberedUntil, keptUntil, live)
    fieldCount = fieldCount + 2
  end
  if removedCount > 0 then callWithAll('HDEL', leasesKey, removed, removedCount) end
  if fieldCount > 0 then callWithAll('HSET', leasesKey, fields, fieldCount) end
  if isExtended then call('PEXPIRE', leasesKey, ttl(keptUntil - now)) end
end
`;
