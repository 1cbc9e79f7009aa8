import { withConstants } from './constants.ts';
import { counters } from './counters.ts';
import { leases } from './leases.ts';
import { opening } from './opening.ts';
import { operations } from './operations.ts';
import { rareOperations } from './rare-operations.ts';

/**
 * The one script of the store: runs a batch of operations of one process, org by org, each org's as one step.
 *
 * KEYS   1 the process' record, 2 the epoch; then, for each org, its lease hash and the hashes of the windows it names.
 *        Beside these it touches, under the same hash tag, remembered ids and the windows that lapsed reservations were charged to.
 * ARGV   1 JSON `[seq, nonce, a record must exist, its time to live, check the server, set the clock, refuse reserves,
 *        how long lapsed reservations are kept, shapes, orgs, then for each org: windows, their names, operations, the operations]`
 * Reply  msgpack list of numbers: `seq, epoch`, then each operation's result in the order asked.
 *
 * Keys are checked by reading them before the org's first write; an org with a key of a foreign type changes nothing.
 */
const body = withConstants(`
${opening}${counters}${leases}${operations}${rareOperations}
local lengths = { 4, 3, 3, 3, 4, 3, 4, 2, 2, 2, 5, 3 }
local hasId = { true, true, true, true, true, true, false, false, false, false, true, true }

local function run(at)
  local code = input[at]
  if code == OP_RESERVE then
    return reserve(shapes[input[at + 1]], input[at + 2], shapes[input[at + 3]])
  elseif code <= OP_UNKNOWN or code == OP_FORGET then return settle(code, shapes[input[at + 1]], input[at + 2])
  elseif code == OP_COMMIT_PART then return settle(code, shapes[input[at + 1]], input[at + 2], input[at + 3])
  elseif code == OP_RENEW then return renew(input[at + 1], input[at + 2])
  else return runRarely(code, at) end
end

local position, keyAt = 11, 3
for _ = 1, input[10] do
  local leasesOf = KEYS[keyAt]
  base, windows, endsOf = string.sub(leasesOf, 1, -3), {}, nil
  for index = 1, input[position] do windows[input[position + index]] = newWindow(KEYS[keyAt + index]) end
  keyAt, position = keyAt + 1 + input[position], position + 1 + input[position]

  local ids, count, at = {}, input[position], position + 1
  for _ = 1, count do
    local code = input[at]
    if hasId[code] then ids[#ids + 1] = input[at + 2] end
    at = at + lengths[code]
  end
  local isReadable, wrote = openLeases(leasesOf, ids), false
  if isReadable and now >= earliest then
    local ok, problem = pcall(lapseAll)
    if not ok and problem ~= 'unreadable' then error(problem, 0) end
    isReadable = ok
  end
  at = position + 1
  for _ = 1, count do
    if not isReadable then say(SAID_UNREADABLE)
    else
      local before = size
      local ok, result = pcall(run, at)
      if ok then wrote = wrote or result
      elseif result == 'unreadable' then
        size = before
        say(SAID_UNREADABLE)
      else error(result, 0) end
    end
    at = at + lengths[input[at]]
  end
  position = at
  if wrote then
    storePast()
    storeLeases()
    storeCounters()
  end
end

for index = #out, size + 1, -1 do out[index] = nil end
local reply = pack(out)
if isNewEpoch then redis.call('SET', KEYS[2], pack(epoch, server)) end
redis.call('SET', KEYS[1], seq .. '|' .. reply, 'PX', recordMs)
return reply
`);

/** Refused by Redis, before it starts, while more memory is used than `maxmemory` allows. */
export const batchScript = `#!lua\n${body}`;

/** The same, for a full Redis: run with "refuse reserves" set, so that it only gives back. */
export const batchScriptWhenFull = `#!lua flags=allow-oom\n${body}`;
