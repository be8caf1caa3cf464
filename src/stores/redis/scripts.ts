import { createHash } from 'node:crypto'
import { LAST_DATE } from '../../store/record.ts'

// Each script has one key, so that it can run in a cluster. It decides everything before it writes anything. Numbers are
// little-endian, as in BSON. `head.ts` has the layout of the field `_`, `program.ts` the layout of the arguments.

export interface Script {
  readonly text: string
  readonly sha: string
}

/** Known to the server by the hash of its text. */
export function script(text: string): Script {
  return { text, sha: createHash('sha1').update(text).digest('hex') }
}

/** Milliseconds by which a server that takes over may be behind: so much longer steps are remembered. */
export const SKEW = 5000

/** Bytes of the head, and of what it remembers of one process. */
export const HEAD = 57
export const MEMORY = 32

/** The first element of a script's reply. */
export const ABSENT = 0
export const ENDED = 1
export const REFUSED = 2
/** The session has changed, or a script cannot make the change. The reply has the session as it is. */
export const MOVED = 3
/** The step came too late, or after a later step of its process. This call wrote nothing. */
export const LATE = 4
/** The same step was already applied. The reply has the revision that it made. */
export const REPEATED = 5
export const DONE = 6
/** The session would outlive its entry in the index by user. */
export const UNINDEXED = 7
/** More processes write to the session than it can remember. */
export const CROWDED = 8
/** What was to be ended is gone already, and that was written once more for replicas that must have it. */
export const GONE = 9
/** A later step of its process came first, so this call did nothing. Unless it was a copy, it may be sent as a later step. */
export const OVERTAKEN = 10

/** The server's clock, milliseconds. */
export const NOW = `local time = call('TIME')
local now = time[1] * 1000 + (time[2] - time[2] % 1000) / 1000`

/** Whether the numbers of a head can be a session's, as `isSound` in `head.ts` decides. NaN is neither less nor greater. */
export const SOUND =
  `expires <= ${LAST_DATE} and (absolute >= 0 and absolute <= ${LAST_DATE} or absolute == math.huge) ` +
  `and maxAge >= 0 and maxAge <= ${LAST_DATE} and rev >= 0 and rev <= ${Number.MAX_SAFE_INTEGER} ` +
  `and size <= ${Number.MAX_SAFE_INTEGER} and created >= 0 and created <= ${LAST_DATE} and indexed >= 0`

/**
 * What a head remembers of changes: of this process the last step `done`, and the revision `again` that it made; of a session's
 * `others` what may still arrive once more. After `lasts` none of this process's steps may: the newest is not always the last to be
 * too late. A tombstone first remembers the step that made it.
 */
export const MEMORIES = `local others, lasts, again, done = {}, til, nil, -1
local first, behind = ${HEAD + 1}, 0
if kind == 254 then first, behind = first + ${MEMORY}, math.max(size, 0) end
for place = first, #meta - behind - ${MEMORY - 1}, ${MEMORY} do
  local whose, theirs, before, last = read('<c8ddd', meta, place)
  if whose == process then
    lasts, again, done = math.max(til, theirs), before, last
  elseif kind == 2 and theirs + ${SKEW} >= now then
    others[#others + 1] = string.sub(meta, place, place + ${MEMORY - 1})
  end
end`

/**
 * What a step does that finds its work done. ARGV[2] is there if replicas must have the change: `WAIT` counts those that have what
 * its connection wrote, and another connection may have done the work. It changes nothing, and is allowed where memory is full.
 */
export const AGAIN = `if ARGV[2] then call('PEXPIREAT', key, string.format('%.0f', expires)) end`

/** The same where the key is away. What follows a removal in a script is allowed where memory is full. */
const AWAY = `if ARGV[2] then
  call('UNLINK', key)
  call('HSET', key, '_', '')
  call('UNLINK', key)
end`

/** Calls a command with a list in parts: Lua gives a call no more than some 8,000 arguments. Names and values stay together. */
export const EACH = `local function each(command, all)
  for from = 1, #all, 4000 do call(command, key, unpack(all, from, math.min(from + 3999, #all))) end
end`

/** Stores a session that is not there yet. */
export const insert = script(`local call, read = redis.call, struct.unpack
local key, arg = KEYS[1], ARGV[1]
${NOW}
local process, step, til, ends, at = read('<c8ddd', arg)
if call('EXISTS', key) == 1 then
  local meta = redis.pcall('HGET', key, '_')
  local kind = type(meta) == 'string' and #meta >= ${HEAD} and string.byte(meta)
  if kind ~= 2 and kind ~= 254 then return {${REFUSED}, now} end
  local _, expires, _, _, _, size = read('<Bddddd', meta)
${MEMORIES}
  if step < done then return {${OVERTAKEN}, now} end
  if step > done then return {${REFUSED}, now} end
  ${AGAIN}
  return {${DONE}, now}
end
if now > til then return {${LATE}, now} end
local sets, n = {}, 0
while at <= #arg do
  sets[n + 1], sets[n + 2], at = read('<Hc0I4c0', arg, at)
  n = n + 2
end
${EACH}
each('HSET', sets)
call('PEXPIREAT', key, string.format('%.0f', ends))
return {${DONE}, now}`)

/**
 * Replaces a session by a tombstone, which remembers its steps. If the same step comes again, the reply is the same.
 */
export const end = script(`local call, read = redis.call, struct.unpack
local key, arg = KEYS[1], ARGV[1]
${NOW}
local process, step, til, wanted, at = read('<c8ddd', arg)
local meta = call('HGET', key, '_')
local kind = meta and #meta >= ${HEAD} and string.byte(meta)
if kind ~= 2 and kind ~= 254 then
  if call('EXISTS', key) == 1 then return {${ABSENT}, now} end
  ${AWAY}
  return {${GONE}, now}
end
local _, expires, absolute, maxAge, rev, size, created, indexed = read('<Bddddddd', meta)
if kind == 254 and #meta >= ${HEAD + MEMORY} then
  local whose, _, _, done = read('<c8ddd', meta, ${HEAD + 1})
  if whose == process and step == done then
    ${AGAIN}
    return {${DONE}, now}
  end
end
if not (expires > now and ${SOUND}) then return {${ABSENT}, now} end
if kind == 254 then
  ${AGAIN}
  return {${GONE}, now}
end
if now > til then return {${LATE}, now} end
${MEMORIES}
if step < done then return {${OVERTAKEN}, now} end
if wanted >= 0 and wanted ~= rev then return {${REFUSED}, now} end
local tombstone = string.sub(arg, at)
local _, ends = read('<Bd', tombstone)
local memories = process .. struct.pack('<ddd', til, 0, step) .. string.sub(meta, ${HEAD + 1})
call('DEL', key)
call('HSET', key, '_', string.sub(tombstone, 1, ${HEAD}) .. memories .. string.sub(tombstone, ${HEAD + 1}))
call('PEXPIREAT', key, string.format('%.0f', ends))
return {${DONE}, now}`)

/** What its process has stored later stays: an earlier deletion may arrive once more after that. */
export const remove = script(`local call, read = redis.call, struct.unpack
local key = KEYS[1]
${NOW}
local process, step, til = read('<c8dd', ARGV[1])
if now > til then return {${LATE}, now} end
local meta = redis.pcall('HGET', key, '_')
local kind = type(meta) == 'string' and #meta >= ${HEAD} and string.byte(meta)
if kind == 2 or kind == 254 then
  local _, _, _, _, _, size = read('<Bddddd', meta)
  ${MEMORIES}
  if step < done then return {${OVERTAKEN}, now} end
end
if call('UNLINK', key) == 0 then
  ${AWAY}
end
return {${DONE}, now}`)

/** Reads from the primary, whatever the client does with commands that only read. */
export const readAll = script(`return redis.call('HGETALL', KEYS[1])`)
export const readSome = script(`local call, key, found = redis.call, KEYS[1], {}
for from = 1, #ARGV, 4000 do
  local part = call('HMGET', key, unpack(ARGV, from, math.min(from + 3999, #ARGV)))
  for i = 1, #part do found[from - 1 + i] = part[i] end
end
return found`)

/** The server's clock, and the paths by which sessions are indexed. */
export const look = script(`local call = redis.call
${NOW}
return {now, call('HGETALL', KEYS[1])}`)

/** Declares an index by a path, or says that it is complete. */
export const declare = script(`local call = redis.call
${NOW}
if ARGV[2] == '1' then call('HSET', KEYS[1], ARGV[1], ARGV[3])
else call('HSETNX', KEYS[1], ARGV[1], string.format('%.0f', now) .. ' 0') end
return {now, call('HGETALL', KEYS[1])}`)

/** Adds a session to a user's index until a given time, and removes the entries whose time has passed. */
export const addMember = script(`local call = redis.call
${NOW}
call('ZADD', KEYS[1], 'GT', ARGV[2], ARGV[1])
call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '(' .. string.format('%.0f', now))
local last = call('ZREVRANGE', KEYS[1], 0, 0, 'WITHSCORES')
if last[2] then call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last[2]))) end
return now`)

export const members = script(`return redis.call('ZSCAN', KEYS[1], ARGV[1], 'COUNT', 200)`)
