/**
 * Opens a batch: recognises one that ran before, decides the store's epoch, reads the clock.
 *
 * keyList[1] string `seq|reply`, the process' last batch
 * keyList[2] string msgpack `epoch, replid, whether that server continues another one's history, run_id`; an epoch is a number that grows,
 *    about the second at which it began. Earlier releases write no run_id
 */
export const opening = `
-- Functions of Redis and Lua, set by the first batch: a library may not access them while it is being loaded.
local unpack, floor, min, max, type, sub, pack, unpacked, call, try

-- The current batch.
local keyList, input, isFull, lapsedKeepMs, usualTerms, shapes, windowLists
local nonce, epoch, now, stampNow
-- The reply is one flat list of numbers.
local out, size
-- isUnreadable: a key cannot be read. Frequent operations check it themselves; rare ones are ended by fail().
local isUnreadable, wrote

local function say(number) size = size + 1; out[size] = number end
local function sayList(numbers)
  say(#numbers)
  for index = 1, #numbers do say(numbers[index]) end
end
local function fail() error('unreadable', 0) end

-- The shared argument of the batch before, as text and decoded: most batches have the same.
local sharedText, shared

local function setUp(keys, batch, text)
  if not call then
    unpack, floor, min, max, type, sub = _G.unpack, math.floor, math.min, math.max, _G.type, string.sub
    pack, unpacked, call, try = cmsgpack.pack, cmsgpack.unpack, redis.call, redis.pcall
  end
  keyList, input = keys, cjson.decode(batch)
  if text ~= sharedText then
    shared, sharedText = cjson.decode(text), text
    isFull, lapsedKeepMs, usualTerms, shapes, windowLists = shared[1], shared[6], shared[7], shared[8], shared[9]
  end
  nonce = input[2]
end

-- The id of a server that does not tell one, so that it is not asked again with each batch.
local nameless = '0'

-- The epoch's record, as text and decoded: most batches find it unchanged.
local epochText, knownEpoch, knownServer, knownNumber, isContinuing, knownRun

-- Processes know a server by its number; 0 is one that does not tell its id, as some compatible ones do not.
local function numberOf(id) return id and tonumber(sub(id, 1, 12), 16) or 0 end

local function readEpoch(text)
  local isReadable, number, id, flag, run = pcall(unpacked, text)
  -- A record that cannot be read counts as none.
  if not isReadable or type(number) ~= 'number' then number, id, flag, run = 0, nil, nil, nil end
  epochText, knownEpoch, knownServer, isContinuing, knownRun = text, number, type(id) == 'string' and id or nil, flag, run
  knownNumber = numberOf(knownServer)
end

-- Whether acknowledged writes were lost. seen: the epoch in which this process' last batch was acknowledged, 0 before the first.
-- done: the number in its record, nil if there is none. isElsewhere: a server that was replaced may have acknowledged that batch.
local function hasForgotten(seq, seen, isElsewhere, mustBeKnown, done)
  -- The data was restored from a copy of an earlier epoch.
  if epoch < seen then return true end
  -- In a later epoch the loss has been noticed, unless the lost batch ran on another server after that epoch had begun on this one.
  if epoch > seen and not isElsewhere then return false end
  if done then return done < seq - 1 end
  return mustBeKnown
end

-- Empty if the user may not run INFO, as from a server that does not tell.
local function infoOf(section)
  local info = try('INFO', section)
  return type(info) == 'table' and '' or info
end

-- Whether a server loaded its data at its start from a snapshot, not an append-only file: any number of writes may be missing.
local function isOfSnapshot()
  local info = infoOf('persistence')
  local loaded = tonumber(string.match(info, 'rdb_last_load_keys_loaded:(%d+)'))
  return loaded and loaded > 0 and string.find(info, 'aof_enabled:0', 1, true) ~= nil
end

-- Returns the reply if nothing must run, because a copy of this batch or a later one ran before, or might have, or rights are missing.
local function open(seq)
  local seen, serverSeen, setClock = shared[2], shared[3], input[3]
  local kept, done = call('MGET', keyList[1], keyList[2]), nil
  if kept[1] then
    local bar = string.find(kept[1], '|', 1, true)
    done = bar and tonumber(sub(kept[1], 1, bar - 1))
    if done == seq then return sub(kept[1], bar + 1) end
    if done and done > seq then return redis.error_reply('STALEBATCH a later batch of this process was run') end
  end

  if setClock then
    now, stampNow = setClock, setClock * 1000 + seq % 1000
  else
    local time = call('TIME')
    now, stampNow = time[1] * 1000 + floor(time[2] / 1000), time[1] * 1000000 + time[2]
  end

  if input[5] > 0 and now > input[5] then
    return redis.error_reply(string.format('LATEBATCH it is %.0f: an earlier copy might not be recognised', now))
  end

  -- With only some of the rights a batch would end half-way, and its writes so far would stay.
  if (shared[5] or seen == 0) and redis.acl_check_cmd then
    local key = keyList[2]
    local commands = {
      { 'GET', key }, { 'EXISTS', key }, { 'SET', key, '', 'PX', 1 }, { 'DEL', key },
      { 'HGET', key, '' }, { 'HMGET', key, '' }, { 'HGETALL', key }, { 'HLEN', key }, { 'HSET', key, '', '' }, { 'HDEL', key, '' },
      { 'PEXPIRETIME', key }, { 'PEXPIRE', key, 1 }, { 'PERSIST', key },
    }
    for index = 1, #commands do
      if not redis.acl_check_cmd(unpack(commands[index])) then
        return redis.error_reply('NORIGHTS the user of the counter store may not run ' .. commands[index][1])
      end
    end
  end

  if kept[2] ~= epochText then readEpoch(kept[2]) end
  local server, number, continues, run = knownServer, knownNumber, isContinuing, knownRun
  epoch = knownEpoch
  local isElsewhere = continues and serverSeen ~= number
  local isNewEpoch, isNewServer = epoch == 0 or hasForgotten(seq, seen, isElsewhere, now < input[4], done), false
  if isNewEpoch or shared[5] or not server then
    local info = infoOf('replication')
    local id = string.match(info, 'master_replid:(%w+)') or not server and nameless
    local earlier = string.match(info, 'master_replid2:(%w+)')
    if id and id ~= server then
      -- A server that continues another one's history (a promoted replica, a snapshot of who had replicas) may lack its last writes.
      -- One with a new history loaded its own append-only file, whose losses hasForgotten shows, or a snapshot. A new replication id
      -- does not prove a restart, since a running server may change its own: the run_id does.
      continues = earlier ~= nil and string.find(earlier, '[^0]') ~= nil
      run = string.match(infoOf('server'), 'run_id:(%w+)')
      local isKnown = server and server ~= nameless
      if isKnown and (continues or run ~= knownRun and isOfSnapshot()) then isNewEpoch = true end
      server, number, isNewServer = id, numberOf(id), true
    end
  end
  if isNewEpoch then epoch = max(floor(now / 1000), epoch + 1, seen + 1) end
  if isNewEpoch or isNewServer then call('SET', keyList[2], pack(epoch, server, continues, run)) end
  -- As long as the reply to one create, since a list that grows is reallocated again and again.
  out, size = { seq, epoch, number, now, 0, 0, 0, 0, 0 }, 4
  return nil
end
`;
