/**
 * The operations outside the path of a create. Their functions are made only when one of them is asked for: where batches run as
 * scripts, making a function costs each run as much as several calls of it.
 */
export const rareOperations = `
local function runRarely(code, at)
  local function mustFind(window, key)
    local counter = findCounter(window, key)
    if isUnreadable then fail() end
    return counter
  end

  local function findAll(refs, first)
    local all = {}
    for index = first, #refs do all[index - first + 1] = mustFind(refs[index][1], refs[index][2]) end
    return all
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

  -- Loads many at once, with one command per window.
  local function loadCounters(refs)
    local missing = {}
    for index = 1, #refs do
      local window, key = refs[index][1], refs[index][2]
      if not positionOf(window, key) then
        local keys = missing[window] or {}
        keys[#keys + 1], missing[window] = key, keys
      end
    end
    for window, keys in pairs(missing) do
      local hash = spell(window)
      local texts = try('HMGET', hash, unpack(keys))
      if texts.err then fail() end
      for index = 1, #keys do setCounter(window, keys[index], hash, texts[index] and readCounter(texts[index])) end
    end
  end

  local function sayCount(counter)
    if not isCounted(counter) then return say(0) end
    say(1)
    sayReading(counter)
  end

  local function adjustCounter(counter, window, units, change, forgetAt)
    extend(counter, window, forgetAt)
    if change == CHANGE_CHARGED then return add(counter, COMMITTED, units) end
    if change == CHANGE_CREATED then return add(counter, UNCERTAIN, units) end
    local taken = min(units, counter[COMMITTED])
    counter[COMMITTED] = counter[COMMITTED] - taken
    if change == CHANGE_DELETED then counter[UNCERTAIN] = counter[UNCERTAIN] + taken end
    counter[REMOVED] = min(counter[REMOVED] + units, MOST)
  end

  -- The units that live leases hold of a counter.
  local function sumHeld(window, key)
    loadAllLeases()
    local sum = 0
    for _, lease in pairs(leaseOf) do
      if lease then
        local _, _, core = unpacked(lease)
        for _, charge in ipairs(cjson.decode(core)) do
          if charge[1] == window and charge[2] == key then sum = min(sum + charge[3], MOST) end
        end
      end
    end
    return sum
  end

  -- Holds a reservation again that the store lost. Whether a recount has seen its rows is not known: stamp 0.
  local function reassert(shape, id, leaseMs, rememberMs)
    local past = not leaseOf[id] and now < rememberedUntil and findPast(id)
    if isUnreadable then fail() end
    if leaseOf[id] or past then return say(SAID_REPEATED) end
    local counters = findAll(shape, 2)
    local made = { now + leaseMs, rememberMs, shape[1] }
    for index = 1, #counters do
      made[CORE + index] = 0
      local counter = counters[index]
      if counter then
        counter[HELD] = counter[HELD] + min(shape[index + 1][3], room(counter, MOST))
        counter[INCARNATION] = incarnation
      end
    end
    setLease(id, pack(unpack(made)))
    expect(now + leaseMs, rememberMs)
    wrote = true
    say(SAID_DONE)
  end

  local function renew(leaseMs, id)
    local lease = leaseOf[id]
    wrote = true
    if not lease then return say(SAID_GONE) end
    local fields = { unpacked(lease) }
    fields[DEADLINE] = now + leaseMs
    setLease(id, pack(unpack(fields)))
    expect(fields[DEADLINE], fields[REMEMBER])
    say(SAID_DONE)
  end

  local function adjust(adjustments, id, rememberMs)
    local key = id ~= '' and base() .. '|a:' .. id
    if key then
      local endsAt = adjustedUntil and adjustedUntil[key] or try('GET', key)
      if type(endsAt) == 'table' then fail() end
      if endsAt and now < tonumber(endsAt) then return say(SAID_REPEATED) end
    end
    local counters = findAll(adjustments, 1)
    local missing = listUncounted(counters)
    if missing then
      say(SAID_UNKNOWN)
      return sayList(missing)
    end
    for index = 1, #adjustments do
      local change = adjustments[index]
      adjustCounter(counters[index], change[1], change[3], change[4], change[5])
    end
    if key and rememberMs > 0 then
      adjustedUntil = adjustedUntil or {}
      adjustedUntil[key] = now + rememberMs
    end
    wrote = true
    say(SAID_DONE)
  end

  local function read(refs)
    loadCounters(refs)
    say(SAID_DONE)
    for index = 1, #refs do
      sayCount(findCounter(refs[index][1], refs[index][2]))
    end
  end

  local function beginRecount(refs)
    loadCounters(refs)
    say(SAID_DONE)
    for index = 1, #refs do
      local window, key = refs[index][1], refs[index][2]
      local counter = findCounter(window, key)
      if not counter then
        local held = sumHeld(window, key)
        counter = { 0, stampNow, epoch, 0, 0, 0, held, incarnation }
        counter[MARK_ENDS] = now
        -- Reservations that lapsed on an earlier counter of this name must not be taken for this one's.
        if now < rememberedUntil then counter[BIRTH] = stampNow end
        setCounter(window, key, spell(window), counter)
      end
      if counter[MARK_ENDS] then
        counter[MARK_ENDS] = now + MARK_MS
        keepUntil(window, now + MARK_MS)
        wrote = true
      end
      -- No count has seen any change yet if there was none before, even if an earlier recount has begun.
      local isKnown = isCounted(counter)
      say(counter[STAMP])
      say(isKnown and counter[ADDED] or 0)
      say(isKnown and counter[REMOVED] or 0)
      sayCount(counter)
    end
  end

  local function finishRecount(counts)
    loadCounters(counts)
    say(SAID_DONE)
    for index = 1, #counts do
      local window, key, stamp, added, removed, count, forgetAt = unpack(counts[index])
      local counter = findCounter(window, key)
      if not counter or counter[STAMP] ~= stamp then say(0) say(0)
      else
        -- A lease may have lapsed while its slot moved and this counter was not here: its units were not taken off.
        if counter[HELD] > 0 then counter[HELD] = sumHeld(window, key) end
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
        counter[STAMP] = max(stampNow, stamp + 1)
        keepUntil(window, counter[FORGET_AT] or false)
        wrote = true
        say(1)
        say(counter[UNCERTAIN])
      end
    end
  end

  if code == OP_RENEW then return renew(input[at + 1], input[at + 2])
  elseif code == OP_ADJUST then return adjust(input[at + 1], input[at + 2], input[at + 3])
  elseif code == OP_READ then return read(input[at + 1])
  elseif code == OP_BEGIN_RECOUNT then return beginRecount(input[at + 1])
  elseif code == OP_FINISH_RECOUNT then return finishRecount(input[at + 1])
  else return reassert(shapes[input[at + 1]], input[at + 2], input[at + 3], input[at + 4]) end
end
`;
