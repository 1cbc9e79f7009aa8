/**
 * Opens the script: recognises a batch that was run before, decides the store's epoch, reads the clock.
 *
 * KEYS[1] string `seq|reply`, this process' last batch
 * KEYS[2] string msgpack `epoch, replid`
 */
export const opening = `
local unpack, floor, min, max, type = unpack, math.floor, math.min, math.max, type
local pack, unpacked = cmsgpack.pack, cmsgpack.unpack
local call, try, KEYS = redis.call, redis.pcall, KEYS

local input = cjson.decode(ARGV[1])
local seq, nonce, isKnown, recordMs, checksServer, setClock, isFull, lapsedKeepMs =
  input[1], input[2], input[3], input[4], input[5], input[6], input[7], input[8]
local usualTerms, shapes, windowSets = input[9], input[10], input[11]

local kept = call('MGET', KEYS[1], KEYS[2])
local isLost = isKnown
if kept[1] then
  local bar = string.find(kept[1], '|', 1, true)
  local done = tonumber(string.sub(kept[1], 1, bar - 1))
  if done == seq then return string.sub(kept[1], bar + 1) end
  if done > seq then return redis.error_reply('STALEBATCH a later batch of this process was run') end
  -- Every batch before this one was acknowledged: a gap means that the store forgot acknowledged writes.
  isLost = done < seq - 1
end

local epoch, server
local isNewEpoch = false
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

local now, stampNow
if setClock then
  now, stampNow = setClock, setClock * 1000 + seq % 1000
else
  local time = call('TIME')
  now, stampNow = time[1] * 1000 + floor(time[2] / 1000), time[1] * 1000000 + time[2]
end

-- The reply is one flat list of numbers.
local out, size = { seq, epoch }, 2
local function say(number) size = size + 1; out[size] = number end
local function sayList(numbers)
  say(#numbers)
  for index = 1, #numbers do say(numbers[index]) end
end

-- Set by whoever meets a key of a foreign type. What is often done looks at it itself; what is rare is ended by fail().
local isUnreadable, wrote = false, false
local function fail() error('unreadable', 0) end
`;
