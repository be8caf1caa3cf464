import {
  ABSENT,
  AGAIN,
  CROWDED,
  DONE,
  EACH,
  ENDED,
  HEAD,
  LATE,
  MEMORIES,
  MOVED,
  NOW,
  REFUSED,
  REPEATED,
  SOUND,
  script,
  UNINDEXED,
} from './scripts.ts'

/**
 * Applies a program to a session: what it does is a list of small steps, each on one field or on the head.
 * Values are a byte for the BSON type and the value in BSON; before each, the revision that wrote it is stored.
 */
export const change =
  script(`local call, read, pack, byte, sub = redis.call, struct.unpack, struct.pack, string.byte, string.sub
local key, arg = KEYS[1], ARGV[1]
${NOW}
local meta = call('HGET', key, '_')
local kind = meta and #meta >= ${HEAD} and byte(meta)
if kind ~= 2 and kind ~= 254 then return {${ABSENT}, now} end
local _, expires, absolute, maxAge, rev, size, created, indexed = read('<Bddddddd', meta)
if not (expires > now and ${SOUND}) then return {${ABSENT}, now} end
local flags, process, step, til, moves, wanted, count, at = read('<Bc8ddHI4I4', arg)
local asksTime, answers, before, indexes = flags % 2 >= 1, flags % 4 >= 2, flags % 8 >= 4, flags % 16 >= 8
local function told(all, last)
  if flags < 16 then return all end
  for i = 3, last do
    if type(all[i]) == 'string' then
      all[i] = string.gsub(all[i], '[\\128-\\255]', function(c)
        return byte(c) < 192 and '\\194' .. c or '\\195' .. string.char(byte(c) - 64)
      end)
    end
  end
  return all
end
local names = {}
for i = 1, count do names[i], at = read('<Hc0', arg, at) end
local raw, values, dirty, growth = {}, {}, {}, 0

local function stored(i)
  local value = raw[i]
  if value == nil then
    value = call('HGET', key, names[i])
    raw[i] = value
  end
  return value
end

local function reply(status, last)
  local all = {status, now, sub(meta, 1, ${HEAD})}
  for i = 1, last do all[i + 3] = stored(i) end
  return status == ${MOVED} and told(all, last + 3) or all
end

${MEMORIES}
if step < done then return {${LATE}, now} end
if step == done then
  local all = reply(${REPEATED}, wanted)
  all[wanted + 4] = pack('<d', again)
  ${AGAIN}
  return told(all, wanted + 4)
end
if kind == 254 then return {${ENDED}, now} end
if now > til then return {${LATE}, now} end
if #others >= 1000 then return {${CROWDED}, now} end

local function value(i)
  local current = values[i]
  if current == nil then
    local whole = stored(i)
    current = whole and sub(whole, 9)
    values[i] = current
  end
  return current
end

local function write(i, next)
  local current, length = values[i], #names[i] + 1
  if current == nil then
    local bytes = call('HSTRLEN', key, names[i])
    if bytes > 0 then growth = growth - bytes + 8 - length end
  elseif current then
    growth = growth - #current - length
  end
  if next then growth = growth + #next + length end
  values[i] = next
  dirty[i] = true
end

local function number(whole)
  local type, length = byte(whole), #whole
  if type == 16 and length == 5 then return type, (read('<i4', whole, 2)) end
  if type == 1 and length == 9 then return type, (read('<d', whole, 2)) end
  if type == 18 and length == 9 then
    local n = read('<i8', whole, 2)
    if n > -9007199254740992 and n < 9007199254740992 then return type, n end
  end
end

local function calculated(a, b, n, former)
  if a == 1 or b == 1 then
    if a == 1 and n == former then return false end
    return '\\1' .. pack('<d', n)
  end
  if a == 16 and b == 16 and n >= -2147483648 and n <= 2147483647 then return '\\16' .. pack('<i4', n) end
  if n > -9007199254740992 and n < 9007199254740992 then return '\\18' .. pack('<i8', n) end
end

local ends, lives, other = expires, maxAge, nil
local start = 0
while at <= #arg do
  local op = byte(arg, at)
  at = at + 1
  if op == 10 then
    local i, next
    i, next, at = read('<I4I4', arg, at)
    write(i, sub(arg, at, at + next - 1))
    at = at + next
  elseif op == 11 then
    local i
    i, at = read('<I4', arg, at)
    write(i, false)
  elseif op == 12 or op == 13 then
    local i, type, by
    i, type, by, at = read('<I4Bd', arg, at)
    local current = value(i)
    local next
    if not current then
      next = calculated(type, type, op == 12 and by or by * 0)
      if next == nil then return reply(${MOVED}, count) end
      write(i, next)
    else
      local own, n = number(current)
      if not own then return reply(${MOVED}, count) end
      local result
      if op == 12 then result = n + by else result = n * by end
      next = calculated(own, type, result, n)
      if next == nil then return reply(${MOVED}, count) end
      if next then write(i, next) end
    end
  elseif op == 14 or op == 15 then
    local i, type, to, length
    i, type, to, length, at = read('<I4BdI4', arg, at)
    local next = sub(arg, at, at + length - 1)
    at = at + length
    local current = value(i)
    if not current then
      write(i, next)
    else
      local own, n = number(current)
      if not own or n ~= n then return reply(${MOVED}, count) end
      if (op == 14 and n > to) or (op == 15 and n < to) then write(i, next) end
    end
  elseif op == 16 then
    local i
    i, at = read('<I4', arg, at)
    write(i, '\\9' .. pack('<i8', now))
  elseif op == 20 then
    local i, isThere
    i, isThere, at = read('<I4B', arg, at)
    if (call('HEXISTS', key, names[i]) == 1) ~= (isThere == 1) then return {${REFUSED}, now} end
  elseif op == 21 then
    local i, how, to
    i, how, to, at = read('<I4Bd', arg, at)
    local current = value(i)
    local type, n
    if current then
      type = byte(current)
      if type == 4 or type == 19 then return reply(${MOVED}, count) end
      if type == 1 or type == 16 or type == 18 then
        type, n = number(current)
        if not type then return reply(${MOVED}, count) end
      end
    end
    local holds
    if how == 1 then holds = n == to
    elseif how == 2 then holds = n ~= to
    elseif n == nil then holds = false
    elseif how == 3 then holds = n < to
    elseif how == 4 then holds = n <= to
    elseif how == 5 then holds = n > to
    else holds = n >= to end
    if not holds then return {${REFUSED}, now} end
  elseif op == 22 then
    local i, how, length
    i, how, length, at = read('<I4BI4', arg, at)
    local to = sub(arg, at, at + length - 1)
    at = at + length
    local current = value(i)
    if current and byte(current) == 4 then return reply(${MOVED}, count) end
    local isEqual = current == to or (not current and to == '\\10')
    if isEqual ~= (how == 1) then return {${REFUSED}, now} end
  elseif op == 3 then
    local fixed
    fixed, at = read('<d', arg, at)
    if fixed ~= rev then return {${REFUSED}, now} end
  elseif op == 6 then
    local has, e, m, w
    has, e, m, w, at = read('<Bddd', arg, at)
    local isOther = has >= 4 and w ~= lives
    if isOther then other = true end
    if has % 4 >= 2 then
      if has % 2 == 1 then ends = e end
      lives = m
    elseif has % 2 == 1 and not isOther and e > ends then
      ends = e
    end
  elseif op == 7 then
    local most
    most, at = read('<d', arg, at)
    if growth > start and size + growth > most then return reply(${MOVED}, count) end
    start = growth
  elseif op == 1 then
    local i, stamp
    i, stamp, at = read('<I4d', arg, at)
    local whole = stored(i)
    if whole and #whole < 8 or (whole and read('<d', whole) or -1) ~= stamp then return reply(${MOVED}, count) end
  elseif op == 2 then
    local fixed
    fixed, at = read('<d', arg, at)
    if fixed ~= rev then return reply(${MOVED}, count) end
  elseif op == 4 then
    local above, most
    above, most, at = read('<dd', arg, at)
    if size <= above or size > most then return reply(${MOVED}, count) end
  elseif op == 5 then
    local e, m
    e, m, ends, lives, at = read('<dddd', arg, at)
    if e ~= expires or m ~= maxAge then return reply(${MOVED}, count) end
  elseif op == 30 then
    local stands
    stands, at = read('<d', arg, at)
    if stands < indexed then indexed = stands end
  elseif op == 31 then
    indexed, at = read('<d', arg, at)
  else
    return redis.error_reply('ERR unknown step of a session')
  end
end
if indexes and ends > indexed then return {${UNINDEXED}, now} end

local made = rev + moves
local stamp = pack('<d', made)
local all = ${DONE}
if answers or asksTime or other then
  all = {${DONE}, now, sub(meta, 1, ${HEAD})}
  if answers then
    for i = 1, wanted do
      if before or not dirty[i] then all[i + 3] = stored(i)
      elseif values[i] then all[i + 3] = stamp .. values[i]
      else all[i + 3] = false end
    end
  end
end
local head = pack('<Bddddddd', 2, ends, absolute, lives, made, size + growth, created, indexed)
local sets, unsets = {'_', head .. table.concat(others) .. process .. pack('<ddd', lasts, made, step)}, {}
local n, m = 2, 0
for i in pairs(dirty) do
  if values[i] then
    sets[n + 1], sets[n + 2], n = names[i], stamp .. values[i], n + 2
  else
    m = m + 1
    unsets[m] = names[i]
  end
end
${EACH}
each('HSET', sets)
each('HDEL', unsets)
if ends ~= expires then call('PEXPIREAT', key, string.format('%.0f', ends)) end
if all == ${DONE} then return all end
return told(all, wanted + 3)`)
