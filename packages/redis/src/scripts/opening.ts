/**
 * Opens a batch: recognises one that was run before, decides the store's epoch, reads the clock.
 *
 * keyList[1] string `seq|reply`, the process' last batch
 * keyList[2] string msgpack `epoch, replid`
 */
export const opening = `
-- Redis' and Lua's own, set when a batch is run: a library may not look at them while it is loaded.
local unpack, floor, min, max, type, sub, pack, unpacked, call, try

-- The batch at hand.
local keyList, input, isFull, lapsedKeepMs, usualTerms, shapes, windowLists
local nonce, epoch, now, stampNow
-- The reply is one flat list of numbers.
local out, size
-- Set by whoever meets a key of a foreign type. What is often done looks at it itself; what is rare is ended by fail().
local isUnreadable, wrote

local function say(number) size = size + 1; out[size] = number end
local function sayList(numbers)
  say(#numbers)
  for index = 1, #numbers do say(numbers[index]) end
end
local function fail() error('unreadable', 0) end

-- What the batch before this one shared, as text and decoded: most share the same.
local sharedText, shared

local function setUp(keys, batch, text)
  unpack, floor, min, max, type, sub = _G.unpack, math.floor, math.min, math.max, _G.type, string.sub
  pack, unpacked, call, try = cmsgpack.pack, cmsgpack.unpack, redis.call, redis.pcall
  keyList, input = keys, cjson.decode(batch)
  nonce, isFull, lapsedKeepMs = input[2], input[7], input[8]
  if text ~= sharedText then shared, sharedText = cjson.decode(text), text end
  usualTerms, shapes, windowLists = shared[1], shared[2], shared[3]
end

-- Answers what is to be replied at once, because a copy of this batch or a later one was run before; else nil.
local function open(seq, isKnown, checksServer, setClock)
  local kept = call('MGET', keyList[1], keyList[2])
  local isLost = isKnown
  if kept[1] then
    local bar = string.find(kept[1], '|', 1, true)
    local done = tonumber(sub(kept[1], 1, bar - 1))
    if done == seq then return sub(kept[1], bar + 1) end
    if done > seq then return redis.error_reply('STALEBATCH a later batch of this process was run') end
    -- Every batch before this one was acknowledged: a gap means that the store forgot acknowledged writes.
    isLost = done < seq - 1
  end

  local server
  local isNewEpoch = false
  epoch = nil
  if kept[2] then epoch, server = unpacked(kept[2]) end
  if not epoch or isLost then epoch, isNewEpoch = nonce, true end
  if checksServer or not server then
    local info = call('INFO', 'replication')
    local id = string.match(info, 'master_replid:(%w+)')
    local earlier = string.match(info, 'master_replid2:(%w+)')
    if id ~= server then
      -- A server that continues another one's history (a promoted replica, a snapshot) may lack its last writes.
      -- One that began anew read its own append-only file: what is lost then shows as a gap above.
      if server and string.find(earlier, '[^0]') then epoch = nonce end
      server, isNewEpoch = id, true
    end
  end
  if isNewEpoch then call('SET', keyList[2], pack(epoch, server)) end

  if setClock then
    now, stampNow = setClock, setClock * 1000 + seq % 1000
  else
    local time = call('TIME')
    now, stampNow = time[1] * 1000 + floor(time[2] / 1000), time[1] * 1000000 + time[2]
  end
  out, size = { seq, epoch }, 2
  return nil
end
`;
