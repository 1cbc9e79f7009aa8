/**
 * The operations. Each loads all that it reads first, so that a key it cannot read ends it before anything has changed; then it
 * changes the loaded data, says its result, and answers whether anything is to be written.
 *
 * A shape is `core, [window, key, amount, onUnknown, limit, forgetAt], ...`, terms are `leaseMs, maxHeld, rememberMs`; both are shared by
 * all operations of a batch.
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
  if #charges == first then return { findCounter(charges[first][1], charges[first][2]) } end
  local found = {}
  for index = first, #charges do
    found[index - first + 1] = findCounter(charges[index][1], charges[index][2])
  end
  return found
end

local function listUncounted(counters)
  local missing
  for index = 1, #counters do
    if not isCounted(counters[index]) then
      missing = missing or {}
      missing[#missing + 1] = index - 1
    end
  end
  return missing
end

local function reserve(shape, id, terms)
  local leaseMs, maxHeld, rememberMs = terms[1], terms[2], terms[3]
  if isFull then say(SAID_REFUSED) return false end
  local lease = leaseOf[id]
  local past = not lease and findPast(id)
  if lease or past then
    local _, _, core
    if lease then _, _, core = unpacked(lease) else core = past[PAST_CORE] end
    if not isSameCore(core, shape[1]) then say(SAID_CONFLICT) return false end
    say(SAID_REPEATED)
    say(lease and STATE_HELD or past[PAST_STATE])
    return false
  end

  local counters = findCounters(shape, 2)
  local missing = listUncounted(counters)
  if missing then say(SAID_UNKNOWN) sayList(missing) return false end
  if liveCount >= maxHeld then say(SAID_CROWDED) return false end
  local misfits
  for index = 1, #counters do
    local charge = shape[index + 1]
    if room(counters[index], charge[5]) < charge[3] then
      misfits = misfits or {}
      misfits[#misfits + 1] = index - 1
    end
  end
  if misfits then
    say(SAID_DENIED)
    sayList(misfits)
    for index = 1, #counters do sayReading(counters[index]) end
    return false
  end

  local made = #counters > 1 and { now + leaseMs, rememberMs, shape[1] }
  say(SAID_DONE)
  for index = 1, #counters do
    local counter, charge = counters[index], shape[index + 1]
    if made then made[CORE + index] = counter[STAMP] end
    hold(counter, charge[3])
    if counter[FORGET_AT] then extend(counter, charge[1], charge[6]) end
    sayReading(counter)
  end
  setLease(id, made and pack(unpack(made)) or pack(now + leaseMs, rememberMs, shape[1], counters[1][STAMP]))
  expect(now + leaseMs, rememberMs)
  liveCount = liveCount + 1
  return true
end

local function settle(code, shape, id, amounts)
  local lease = leaseOf[id]
  local past = not lease and findPast(id)
  local _, rememberMs, core, onlyStamp
  if lease then _, rememberMs, core, onlyStamp = unpacked(lease)
  elseif past then rememberMs, core = past[PAST_REMEMBER], past[PAST_CORE] end
  if not core or not isSameCore(core, shape[1]) then say(SAID_GONE) return false end
  if past and past[PAST_STATE] ~= STATE_LAPSED then say(SAID_REPEATED) say(past[PAST_STATE]) return false end

  local charges, first = shape, 2
  if core ~= shape[1] then charges, first = cjson.decode(core), 1 end
  local counters = findCounters(charges, first)
  local isCommit = code == OP_COMMIT or code == OP_COMMIT_PART
  local isLate, isOver = past and isCommit, false
  local stamps = lease and #counters > 1 and { unpacked(lease) }
  for index = 1, #counters do
    local counter, charge = counters[index], charges[first + index - 1]
    if counter then
      local stamp = stamps and stamps[CORE + index] or onlyStamp or past[PAST_CORE + (index - 1) * LAPSE_FIELDS + 1]
      if lease then take(counter, HELD, charge[3])
      else
        local at = placeOfLapsed(past, index, counter)
        if at == PLACE_UNCERTAIN then take(counter, UNCERTAIN, charge[3])
        elseif at == PLACE_COMMIT then take(counter, COMMITTED, charge[3]) end
      end
      if isCommit then
        -- A count that was taken meanwhile may show the new rows already: then nobody knows.
        local isStraddled = charge[4] == PLACE_UNCERTAIN and stamp ~= counter[STAMP]
        local units = amounts and amounts[index] or charge[3]
        place(counter, isStraddled and PLACE_UNCERTAIN or PLACE_COMMIT, units)
        isOver = isOver or (isLate and units > 0 and isCounted(counter) and room(counter, shape[index + 1][5]) < 0)
      elseif code == OP_UNKNOWN then
        place(counter, charge[4], charge[3])
      end
    end
  end

  if lease then setLease(id, false) liveCount = liveCount - 1 end
  if rememberMs > 0 and code ~= OP_FORGET then
    local state = isCommit and STATE_COMMITTED or code == OP_UNKNOWN and STATE_UNKNOWN or STATE_RELEASED
    setPast(id, { now + rememberMs, state, rememberMs, core })
  elseif past then setPast(id, false) end
  say(SAID_DONE)
  say(isLate and 1 or 0)
  say(isOver and 1 or 0)
  return true
end

local function renew(leaseMs, id)
  local lease = leaseOf[id]
  if not lease then say(SAID_GONE) return true end
  local fields = { unpacked(lease) }
  fields[DEADLINE] = now + leaseMs
  setLease(id, pack(unpack(fields)))
  expect(fields[DEADLINE], fields[REMEMBER])
  say(SAID_DONE)
  return true
end
`;
