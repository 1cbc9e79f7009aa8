/**
 * Reservations of an org.
 *
 * `<base>|l` hash of the live ones by id: msgpack `deadline, rememberMs, core, stamp of each charge's counter`; its field '' is the head.
 * `<base>|i:<id>` string with a time to live, one for each that ended and is remembered:
 *    msgpack `endsAt, state, rememberMs, core`, and when it lapsed, for each charge `stamp, place, stamp and ADDED at the lapse, birth`.
 * `<base>|a:<id>` string with a time to live, one for each adjustment that is remembered: when it ends.
 * A core is JSON, `[[window, key, amount, onUnknown], ...]`: what a repeat is compared with.
 *
 * The head holds a lower bound of all deadlines. While it lies ahead nothing can have lapsed; when it has passed, all live
 * reservations are looked through once and the bound moves on.
 */
export const leases = `
-- The org at hand. rememberedUntil: the last end of any remembered id; keptUntil: when the lease hash itself ends.
-- leaseOf: by id, as they are stored; false when there is none.
local leasesKey, leaseOf, touched, hasAll, head, earliestBefore, liveBefore, rememberedBefore, isExtended
local earliest, liveCount, rememberedUntil, keptUntil
local pastOf, isPastTouched

local function openLeases(key, ids)
  leasesKey, leaseOf, touched, pastOf, isPastTouched, hasAll = key, {}, nil, nil, nil, false
  isExtended = false
  local values = redis.pcall('HMGET', key, '', unpack(ids))
  if values.err then return false end
  head = values[1]
  hasLeases = head ~= false
  if head then
    incarnation, earliest, liveCount, rememberedUntil, keptUntil = unpacked(head)
  else
    incarnation, earliest, liveCount, rememberedUntil, keptUntil = nonce, NEVER, 0, 0, 0
  end
  earliestBefore, liveBefore, rememberedBefore = earliest, liveCount, rememberedUntil
  for index = 1, #ids do
    local value = values[index + 1]
    leaseOf[ids[index]] = value
  end
  return true
end

local function loadAllLeases()
  if hasAll then return end
  hasAll = true
  local list = redis.call('HGETALL', leasesKey)
  for index = 1, #list, 2 do
    local id = list[index]
    if id ~= '' and leaseOf[id] == nil then
      leaseOf[id] = list[index + 1]
    end
  end
end

local function findPast(id)
  if now >= rememberedUntil then return false end
  pastOf, isPastTouched = pastOf or {}, isPastTouched or {}
  local past = pastOf[id]
  if past ~= nil then return past end
  local text = redis.pcall('GET', base .. '|i:' .. id)
  if type(text) == 'table' then fail() end
  past = text and { unpacked(text) }
  if past and past[PAST_ENDS] <= now then past = false end
  pastOf[id] = past
  return past
end

local function setPast(id, past)
  pastOf, isPastTouched = pastOf or {}, isPastTouched or {}
  pastOf[id], isPastTouched[id] = past, true
  if past then rememberedUntil = max(rememberedUntil, past[PAST_ENDS]) end
end

local function setLease(id, lease)
  leaseOf[id], hasLeases = lease, true
  if touched then touched[#touched + 1] = id else touched = { id } end
end

local function expect(deadline, rememberMs)
  if deadline < earliest then earliest = deadline end
  local needed = deadline + max(lapsedKeepMs, rememberMs)
  if needed > keptUntil then keptUntil, isExtended = needed + LEASES_GRACE_MS, true end
end

local function hold(counter, units)
  counter[HELD], counter[INCARNATION] = counter[HELD] + units, incarnation
end

-- Every operation begins here: leases that ran out become what their charges say. Writes nothing by itself.
local function lapseAll()
  if now < earliest then return end

  local function lapse(id)
    local lease = { unpacked(leaseOf[id]) }
    local charges, ends = cjson.decode(lease[CORE]), lease[DEADLINE] + max(lapsedKeepMs, lease[REMEMBER])
    local past = { ends, STATE_LAPSED, lease[REMEMBER], lease[CORE] }
    local counters = {}
    for index = 1, #charges do counters[index] = findCounter(charges[index][1], charges[index][2]) end
    if type(redis.pcall('EXISTS', base .. '|i:' .. id)) == 'table' then fail() end
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
    liveCount = liveCount - 1
    if ends > now then setPast(id, past) end
  end

  loadAllLeases()
  earliest = NEVER
  local ended = {}
  for id, lease in pairs(leaseOf) do
    if lease then
      local deadline = unpacked(lease)
      if deadline <= now then ended[#ended + 1] = id else earliest = min(earliest, deadline) end
    end
  end
  for index = 1, #ended do lapse(ended[index]) end
end

-- Where a lapsed charge's units are counted now: a recount that may have seen them, or the loss of the counter, took them away.
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
  if not pastOf then return end
  for id in pairs(isPastTouched) do
    local past, key = pastOf[id], base .. '|i:' .. id
    if not past then redis.call('DEL', key)
    else redis.call('SET', key, pack(unpack(past)), 'PX', ttl(past[PAST_ENDS] - now)) end
  end
end

local function storeLeases()
  if liveCount == 0 and rememberedUntil <= now then
    if head then redis.call('DEL', leasesKey) end
    return
  end
  if rememberedUntil > keptUntil then keptUntil, isExtended = rememberedUntil + LEASES_GRACE_MS, true end
  local fields, removed
  for index = 1, touched and #touched or 0 do
    local id = touched[index]
    local lease = leaseOf[id]
    if not lease then
      if removed then removed[#removed + 1] = id else removed = { id } end
    elseif fields then fields[#fields + 1], fields[#fields + 2] = id, lease
    else fields = { id, lease } end
  end
  if removed then redis.call('HDEL', leasesKey, unpack(removed)) end
  local isHeadSame = head and liveCount == liveBefore and earliest == earliestBefore
    and rememberedUntil == rememberedBefore and not isExtended
  if not isHeadSame then
    fields = fields or {}
    fields[#fields + 1], fields[#fields + 2] = '', pack(incarnation, earliest, liveCount, rememberedUntil, keptUntil)
  end
  if fields then redis.call('HSET', leasesKey, unpack(fields)) end
  if isExtended then redis.call('PEXPIRE', leasesKey, ttl(keptUntil - now)) end
end
`;
