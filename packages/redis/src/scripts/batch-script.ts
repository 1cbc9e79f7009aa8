import { createHash } from 'node:crypto';
import { withConstants } from './constants.ts';
import { counters } from './counters.ts';
import { leases } from './leases.ts';
import { opening } from './opening.ts';
import { operations } from './operations.ts';
import { rareOperations } from './rare-operations.ts';

/**
 * The store's one script: runs a batch of operations of one process, org by org, each org's as one step.
 *
 * KEYS   1 the process' record, 2 the epoch; then, for each org, its lease hash and the hashes of the windows it names; then the keys under
 *        which single operations are remembered. The script builds the latter itself: they are declared for a Cluster whose slot moves.
 *        Beside these it accesses, under the same hash tag, the ids of reservations that lapse and the windows that these were charged to.
 * ARGV   1 JSON `[seq, nonce, the time in tests or false, until when a record must exist, until when this may run, orgs, then for each org:
 *        the number of its list of windows, how many operations, the operations]`
 *        An operation is `shape, id`, a reserve on the usual terms; `-shape, id`, a commit of all units that need not be remembered;
 *        or `0, code` and that code's arguments.
 *        2 JSON `[refuse reserves, the epoch and the server last seen, a record's time to live, check the server, how long lapsed
 *        reservations are kept, the usual terms, shapes, lists of windows]`. Parsed only if it differs from that of the batch before, of
 *        whatever process.
 * Reply  msgpack array of numbers: `seq, epoch, server, the time`, then each operation's result in the order asked.
 *
 * Keys are read, and thereby checked, before the org's first write: an operation that meets a key it cannot read changes nothing.
 *
 * It runs for every create, so its lists are reused by the next org and the next batch.
 */
const source = withConstants(`
${opening}${counters}${leases}${operations}${rareOperations}
-- By code: the length of an operation that begins with 0, and the position of an id in it.
local lengths = { 5, 5, 5, 5, 6, 4, 5, 3, 3, 3, 6, 4 }
local idAt = { 3, 3, 3, 3, 3, 3, false, false, false, false, 3, 3 }

local function run(at)
  local code = input[at + 1]
  if code == OP_RESERVE then return reserve(shapes[input[at + 2]], input[at + 3], input[at + 4])
  elseif code == OP_FORGET then return settle(code, shapes[input[at + 2]], input[at + 3], 0)
  elseif code <= OP_COMMIT_PART then
    return settle(code, shapes[input[at + 2]], input[at + 3], input[at + 4], code == OP_COMMIT_PART and input[at + 5])
  else return runRarely(code, at + 1) end
end

-- Sets isUnreadable when it meets a key it cannot read.
local function runSafely(task, at)
  local ok, problem = pcall(task, at)
  if not ok and problem ~= 'unreadable' then error(problem, 0) end
  if not ok then isUnreadable = true end
end

local function listIds(position, count)
  local input, list, listed = input, ids, 0
  for _ = 1, count do
    if input[position] ~= 0 then
      listed = listed + 1
      list[listed] = input[position + 1]
      position = position + 2
    else
      local code = input[position + 1]
      if idAt[code] then
        listed = listed + 1
        list[listed] = input[position + idAt[code]]
      end
      position = position + lengths[code]
    end
  end
  idCount = listed
  return position
end

-- Decides the current org's operations, which begin at a position of the batch, on the loaded data. Writes nothing.
local function decide(position, count)
  openCounters()
  local isReadable = openLeases()
  wrote, isUnreadable = false, false
  if isReadable and now >= earliest then
    runSafely(lapseAll)
    isReadable = not isUnreadable
    -- Stored whatever the operations do: the next batch would scan all of them again, and let them lapse in another order.
    wrote = isReadable
  end
  local input, shapes = input, shapes
  isUnreadable = not isReadable
  for _ = 1, count do
    local shape, before = input[position], size
    if isReadable then
      if shape == 0 then runSafely(run, position)
      elseif shape > 0 then reserve(shapes[shape], input[position + 1], usualTerms)
      else settle(OP_COMMIT, shapes[-shape], input[position + 1], 0) end
    end
    if isUnreadable then
      size = before
      say(SAID_UNREADABLE)
      isUnreadable = not isReadable
    end
    position = position + (shape == 0 and lengths[input[position + 1]] or 2)
  end
end

-- Runs the operations of an org; returns where they end. An error, as on a damaged value, is the trouble of this org alone.
local function runOrg(position, count)
  local endsAt, before = listIds(position, count), size
  wrote = false
  if not pcall(decide, position, count) then
    wrote, size = false, before
    for _ = 1, count do say(SAID_UNREADABLE) end
  end
  if wrote then
    if pastOf then storePast() end
    if adjustedUntil then storeAdjusted() end
    storeLeases()
    storeCounters()
  end
  return endsAt
end

local function runBatch(keys, args)
  setUp(keys, args[1], args[2])
  headShape = nil
  local seq = input[1]
  local done = open(seq)
  if done then return done end
  local position = 7
  declaredAt = 3
  for _ = 1, input[6] do
    declared, leasesKey = windowLists[input[position]], keyList[declaredAt]
    position = runOrg(position + 2, input[position + 1])
    declaredAt = declaredAt + 1 + #declared
  end
  for index = #out, size + 1, -1 do out[index] = nil end
  local reply = pack(out)
  call('SET', keyList[1], seq .. '|' .. reply, 'PX', shared[4])
  return reply
end
`);

/** The batch script, in the forms in which Redis can run it. */
export interface Form {
  /** For FCALL. The library is loaded once, so this is the cheapest form. */
  readonly name: string;
  /** For EVAL. Its functions are made anew by each run. */
  readonly script: string;
  /** For EVALSHA. */
  readonly sha: string;
}

const sha1 = (text: string) => createHash('sha1').update(text).digest('hex');
const version = sha1(source).slice(0, 12);

function form(name: string, flags: string): Form {
  const script = `#!lua${flags}\n${source}\nreturn runBatch(KEYS, ARGV)`;
  return { name: `${name}_${version}`, script, sha: sha1(script) };
}

/** Refused by Redis, before it starts, while more memory is used than `maxmemory` allows. */
export const batchScript = form('tollgate', '');

/** The same, but run also by a full Redis: only with "refuse reserves" set. */
export const batchScriptWhenFull = form('tollgate_when_full', ' flags=allow-oom');

/** Both as a library for FUNCTION LOAD. Its name contains its version, so that several versions can be loaded side by side. */
export const library = `#!lua name=tollgate_${version}
${source}
redis.register_function('${batchScript.name}', runBatch)
redis.register_function({ function_name = '${batchScriptWhenFull.name}', callback = runBatch, flags = { 'allow-oom' } })
`;
