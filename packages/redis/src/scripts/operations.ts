/**
 * The operations that most batches consist of. Each first loads all that it reads, so that a key it cannot read ends it before anything
 * has changed: it sets isUnreadable and says nothing. Then it changes the loaded data and says its result.
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

-- The counters of the current charges, at the same positions.
local found = {}

-- The common head of all leases with one shape and terms, and the lease made last: many have the same stamp, too.
local headShape, headTerms, leaseHead, lastStamp, lastLease

-- A lease on the counters in found.
local function makeLease(shape, terms)
  local stamp = found[2][STAMP]
  if shape ~= headShape or terms ~= headTerms then
    headShape, headTerms, leaseHead = shape, terms, pack(now + terms[1], terms[3], shape[1])
  elseif stamp == lastStamp and #shape == 2 then return lastLease end
  local lease = leaseHead .. pack(stamp)
  for index = 3, #shape do lease = lease .. pack(found[index][STAMP]) end
  lastStamp, lastLease = stamp, lease
  return lease
end

local function reserve(shape, id, terms)
  if isFull then return say(SAID_REFUSED) end
  local lease = leaseOf[id]
  local past = not lease and now < rememberedUntil and findPast(id)
  if isUnreadable then return end
  if lease or past then
    local _, _, core
    if lease then _, _, core = unpacked(lease) else core = past[PAST_CORE] end
    if not isSameCore(core, shape[1]) then return say(SAID_CONFLICT) end
    say(SAID_REPEATED)
    return say(lease and STATE_HELD or past[PAST_STATE])
  end

  local missing, misfits
  for index = 2, #shape do
    local charge = shape[index]
    local counter = findCounter(charge[1], charge[2])
    found[index] = counter
    if not counter or counter[MARK_ENDS] then
      missing = missing or {}
      missing[#missing + 1] = index - 2
    elseif charge[5] - counter[COMMITTED] - counter[UNCERTAIN] - counter[HELD] < charge[3] then
      misfits = misfits or {}
      misfits[#misfits + 1] = index - 2
    end
  end
  if isUnreadable then return end
  if missing then
    say(SAID_UNKNOWN)
    return sayList(missing)
  end
  if hasLive(terms[2]) then return say(SAID_CROWDED) end
  if misfits then
    say(SAID_DENIED)
    sayList(misfits)
    for index = 2, #shape do sayReading(found[index]) end
    return
  end

  size = size + 1
  out[size] = SAID_DONE
  for index = 2, #shape do
    local counter, charge = found[index], shape[index]
    counter[HELD], counter[INCARNATION] = counter[HELD] + charge[3], incarnation
    if counter[FORGET_AT] and counter[FORGET_AT] ~= charge[6] then extend(counter, charge[1], charge[6]) end
    sayReading(counter)
  end
  setLease(id, makeLease(shape, terms))
  expect(now + terms[1], terms[3])
  wrote = true
end

local function settle(code, shape, id, askedMs, amounts)
  local lease = leaseOf[id]
  local past = not lease and now < rememberedUntil and findPast(id)
  if isUnreadable then return end
  local _, rememberMs, core, onlyStamp
  if lease then _, rememberMs, core, onlyStamp = unpacked(lease)
  elseif past then rememberMs, core = past[PAST_REMEMBER], past[PAST_CORE] end
  if not core or not isSameCore(core, shape[1]) then return say(SAID_GONE) end
  if past and past[PAST_STATE] ~= STATE_LAPSED then
    say(SAID_REPEATED)
    return say(past[PAST_STATE])
  end

  if askedMs == 0 and rememberMs > 0 and lease and code ~= OP_FORGET and type(try('EXISTS', pastKey(id))) == 'table' then
    -- The key was not declared, and its slot is being moved.
    isUnreadable = true
    return
  end
  if askedMs > rememberMs then rememberMs = askedMs end
  local charges, first = shape, 2
  if core ~= shape[1] then charges, first = cjson.decode(core), 1 end
  for index = first, #charges do found[index] = findCounter(charges[index][1], charges[index][2]) end
  if isUnreadable then return end
  local isCommit = code == OP_COMMIT or code == OP_COMMIT_PART
  local isLate, isOver, missing = past and isCommit, false, nil
  local stamps = lease and #charges > first and { unpacked(lease) }
  for index = first, #charges do
    local counter, charge, position = found[index], charges[index], index - first + 1
    if counter then
      local stamp = stamps and stamps[CORE + position] or onlyStamp or past[PAST_CORE + (position - 1) * LAPSE_FIELDS + 1]
      if lease then take(counter, HELD, charge[3])
      else
        local at = placeOfLapsed(past, position, counter)
        if at == PLACE_UNCERTAIN then take(counter, UNCERTAIN, charge[3])
        elseif at == PLACE_COMMIT then take(counter, COMMITTED, charge[3]) end
      end
      if isCommit then
        -- A recount since the reserve may or may not have seen the new rows.
        local isStraddled = charge[4] == PLACE_UNCERTAIN and stamp ~= counter[STAMP]
        local units = amounts and amounts[position] or charge[3]
        place(counter, isStraddled and PLACE_UNCERTAIN or PLACE_COMMIT, units)
        isOver = isOver or (isLate and units > 0 and isCounted(counter) and room(counter, charge[5] or shape[position + 1][5]) < 0)
      elseif code == OP_UNKNOWN then
        place(counter, charge[4], charge[3])
      end
    elseif (isCommit and (not amounts or amounts[position] > 0)) or (code == OP_UNKNOWN and charge[4] ~= PLACE_RELEASE) then
      missing = missing or {}
      missing[#missing + 1] = position - 1
    end
  end

  if lease then setLease(id, false) end
  if rememberMs > 0 and code ~= OP_FORGET then
    local state = isCommit and STATE_COMMITTED or code == OP_UNKNOWN and STATE_UNKNOWN or STATE_RELEASED
    setPast(id, { now + rememberMs, state, rememberMs, core })
  elseif past then setPast(id, false) end
  wrote = true
  if missing then
    say(SAID_INCOMPLETE)
    sayList(missing)
  end
  if not isLate then return say(SAID_DONE) end
  say(SAID_LATE)
  say(isOver and 1 or 0)
end
`;
