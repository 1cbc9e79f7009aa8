import { OPERATION, PLACE, RESULT } from '../protocol.ts';

/**
 * The operations. Each loads all that it reads first, so that a key it cannot read ends it before anything has changed; then it
 * changes the loaded data, says its result, and answers whether anything is to be written.
 *
 * A shape is `core, [window, key, amount, onUnknown, limit, forgetAt], ...`, shared by all operations of a batch.
 */
export const operations = `
local function isSameCore(core, other)
  if core == other then return true end
  local a, b = cjson.decode(core), cjson.decode(other)
  if #a ~= #b then return false end
  for index = 1, #a do
    local x, y = a[index], b[index]
    if x[1] ~= y[1] or x[2] ~= y[2] or x[3] ~= y[3] then return false end
  end
  return true
end

local function findCounters(charges, first)
  local found = {}
  for index = first, #charges do
    found[index - first + 1] = findCounter(charges[index][1], charges[index][2])
  end
  return found
end

local function listUncounted(counters)
  local missing = {}
  for index = 1, #counters do
    if not isCounted(counters[index]) then missing[#missing + 1] = index - 1 end
  end
  return missing
end

local function reserve(shape, id, leaseMs, maxHeld, rememberMs)
  if isFull then say(${RESULT.refused}) return false end
  local lease = leaseOf[id]
  local past = not lease and findPast(id)
  if lease or past then
    if not isSameCore((lease and lease[CORE]) or past[PAST_CORE], shape[1]) then say(${RESULT.conflict}) return false end
    say(${RESULT.repeated})
    say(lease and HELD_STATE or past[STATE])
    return false
  end

  local counters = findCounters(shape, 2)
  local missing = listUncounted(counters)
  if #missing > 0 then say(${RESULT.unknown}) sayList(missing) return false end
  if liveCount >= maxHeld then say(${RESULT.crowded}) return false end
  local misfits = {}
  for index = 1, #counters do
    local charge = shape[index + 1]
    if room(counters[index], charge[5]) < charge[3] then misfits[#misfits + 1] = index - 1 end
  end
  if #misfits > 0 then
    say(${RESULT.denied})
    sayList(misfits)
    for index = 1, #counters do sayReading(counters[index]) end
    return false
  end

  local made = { now + leaseMs, rememberMs, shape[1] }
  say(${RESULT.done})
  for index = 1, #counters do
    local counter, charge = counters[index], shape[index + 1]
    made[STAMPS + index] = counter[STAMP]
    hold(counter, charge[3])
    if counter[FORGET_AT] then extend(counter, charge[1], charge[6]) end
    sayReading(counter)
  end
  setLease(id, made)
  liveCount = liveCount + 1
  return true
end

local function settle(code, shape, id, amounts)
  local lease = leaseOf[id]
  local past = not lease and findPast(id)
  local core = (lease and lease[CORE]) or (past and past[PAST_CORE])
  if not core or not isSameCore(core, shape[1]) then say(${RESULT.gone}) return false end
  if past and past[STATE] ~= LAPSED then say(${RESULT.repeated}) say(past[STATE]) return false end

  local charges, first = shape, 2
  if core ~= shape[1] then charges, first = cjson.decode(core), 1 end
  local counters = findCounters(charges, first)
  local isCommit = code == ${OPERATION.commit} or code == ${OPERATION.commitPart}
  local isLate, isOver = past and isCommit, false
  for index = 1, #counters do
    local counter, charge = counters[index], charges[first + index - 1]
    if counter then
      local stamp = lease and lease[STAMPS + index] or past[LAPSES + (index - 1) * LAPSE_FIELDS + 1]
      if lease then take(counter, HELD, charge[3])
      else
        local at = placeOfLapsed(past, index, counter)
        if at == ${PLACE.uncertain} then take(counter, UNCERTAIN, charge[3])
        elseif at == ${PLACE.commit} then take(counter, COMMITTED, charge[3]) end
      end
      if isCommit then
        -- A count that was taken meanwhile may show the new rows already: then nobody knows.
        local isStraddled = charge[4] == ${PLACE.uncertain} and stamp ~= counter[STAMP]
        local units = amounts and amounts[index] or charge[3]
        place(counter, isStraddled and ${PLACE.uncertain} or ${PLACE.commit}, units)
        isOver = isOver or (isLate and units > 0 and isCounted(counter) and room(counter, shape[index + 1][5]) < 0)
      elseif code == ${OPERATION.unknown} then
        place(counter, charge[4], charge[3])
      end
    end
  end

  local rememberMs = lease and lease[REMEMBER] or past[PAST_REMEMBER]
  if lease then setLease(id, false) liveCount = liveCount - 1 end
  if rememberMs > 0 and code ~= ${OPERATION.forget} then
    local state = isCommit and COMMITTED_STATE or code == ${OPERATION.unknown} and UNKNOWN_STATE or RELEASED
    setPast(id, { now + rememberMs, state, rememberMs, core })
  elseif past then setPast(id, false) end
  say(${RESULT.done})
  say(isLate and 1 or 0)
  say(isOver and 1 or 0)
  return true
end

local function renew(leaseMs, id)
  local lease = leaseOf[id]
  if not lease then say(${RESULT.gone}) return true end
  lease[DEADLINE] = now + leaseMs
  setLease(id, lease)
  say(${RESULT.done})
  return true
end

-- For a reservation that this store no longer knows though its holder does. Whether a count saw it is not known: stamp 0.
local function reassert(shape, id, leaseMs, rememberMs)
  if leaseOf[id] or findPast(id) then say(${RESULT.repeated}) return false end
  local counters = findCounters(shape, 2)
  local made = { now + leaseMs, rememberMs, shape[1] }
  for index = 1, #counters do
    made[STAMPS + index] = 0
    if counters[index] then hold(counters[index], shape[index + 1][3]) end
  end
  setLease(id, made)
  liveCount = liveCount + 1
  say(${RESULT.done})
  return true
end

local function adjust(adjustments, id, rememberMs)
  local key = id ~= '' and base .. '|a:' .. id
  if key then
    local endsAt = redis.pcall('GET', key)
    if type(endsAt) == 'table' then fail() end
    if endsAt and now < tonumber(endsAt) then say(${RESULT.repeated}) return false end
  end
  local counters = findCounters(adjustments, 1)
  local missing = listUncounted(counters)
  if #missing > 0 then say(${RESULT.unknown}) sayList(missing) return false end
  for index = 1, #adjustments do
    local change = adjustments[index]
    adjustCounter(counters[index], change[1], change[3], change[4], change[5])
  end
  if key and rememberMs > 0 then
    redis.call('SET', key, string.format('%.0f', now + rememberMs), 'PX', ttl(rememberMs))
  end
  say(${RESULT.done})
  return true
end

local function read(refs)
  loadCounters(refs)
  say(${RESULT.done})
  for index = 1, #refs do
    local counter = findCounter(refs[index][1], refs[index][2])
    if isCounted(counter) then say(1) sayReading(counter) else say(0) end
  end
  return false
end

local function beginRecount(refs)
  loadCounters(refs)
  say(${RESULT.done})
  local wrote = false
  for index = 1, #refs do
    local window, key = refs[index][1], refs[index][2]
    local counter = findCounter(window, key)
    if not counter then
      local held = sumHeld(window, key)
      counter = { 0, stampNow, epoch, 0, 0, 0, held, incarnation }
      counter[MARK_ENDS], counter[BIRTH] = now, stampNow
      countersOf[window][key] = counter
    end
    if counter[MARK_ENDS] then
      counter[MARK_ENDS] = now + MARK_MS
      keepUntil(window, now + MARK_MS)
      wrote = true
    end
    say(isCounted(counter) and 1 or 0)
    say(counter[STAMP])
    say(counter[ADDED])
    say(counter[REMOVED])
  end
  return wrote
end

local function finishRecount(counts)
  loadCounters(counts)
  say(${RESULT.done})
  for index = 1, #counts do
    local window, key, stamp, added, removed, count, forgetAt = unpack(counts[index])
    local counter = findCounter(window, key)
    if not counter or counter[STAMP] ~= stamp then say(0) say(0)
    else
      local kept = min(count, MOST - counter[HELD])
      local gone = min(kept, max(0, counter[REMOVED] - removed))
      local came = max(0, counter[ADDED] - added)
      counter[PREVIOUS], counter[BEGUN] = nil, nil
      if came > 0 then counter[PREVIOUS], counter[BEGUN] = stamp, added end
      counter[COMMITTED], counter[UNCERTAIN] = kept - gone, 0
      counter[UNCERTAIN] = min(came + gone, room(counter, MOST))
      if counter[MARK_ENDS] then counter[FORGET_AT] = forgetAt or nil
      else counter[FORGET_AT] = later(counter[FORGET_AT], forgetAt or nil) end
      counter[MARK_ENDS], counter[ADDED], counter[REMOVED] = nil, 0, 0
      if not counter[FORGET_AT] then counter[BIRTH] = nil end
      counter[STAMP] = max(stampNow, stamp + 1)
      keepUntil(window, counter[FORGET_AT] or false)
      say(1)
      say(counter[UNCERTAIN])
    end
  end
  return true
end
`;
