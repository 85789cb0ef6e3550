"""The shared budget as one script: what Redis does, in one step and by its own clock, when a worker calls.

The value under a budget's key is the list of its slots, counted as by `AckClockedWindow`: a slot is free one period
after its answer came, less a credit. A worker's call tells what became of its requests, takes the slots that are free,
and reserves one for the worker's next request. A reservation that is not claimed in time lapses, so that a killed
worker costs the others next to nothing.

What Redis may have forgotten (a restart, a failover, an evicted key) counts as spent, until the workers have said again
what they sent. A restarted server is known by its run id, a lost or an old state by the number that the worker knows.
"""

from __future__ import annotations

import hashlib
from typing import Final, cast

from launch_async.rate_limit.shared.messages import Ask, Learnt, Memory, Reply

__all__ = ["DIGEST", "TEXT", "arguments", "read"]

_NO_PROPOSAL: Final = Learnt(version=-1)


def arguments(ask: Ask, *, with_memory: bool) -> list[str | bytes]:
    """Return the script's arguments; with what the worker remembers, if the server has asked for that."""
    proposal = ask.proposal or _NO_PROPOSAL
    figures = (
        sum(ask.waiting),
        int(ask.reserve is not None),
        _micros(ask.lead),
        _micros(ask.late),
        ask.requests,
        _micros(ask.per),
        _micros(ask.shortest_trip),
        _micros(ask.longest_trip),
        ask.limit,
        _micros(ask.pause),
        _micros(ask.spaced),
        proposal.figure or 0,
        proposal.version,
        ask.memory.epoch,
        ask.memory.number,
    )
    told = (*(ask.repeated if with_memory or ask.doubtful else ()), *ask.reports)
    reports = "".join(f"{number},{_micros(age)},{code};" for number, age, code in told)
    return [ask.worker, *map(str, figures), reports, ask.memory.state if with_memory else b""]


def read(answer: object) -> Reply:
    """Return what the script answered."""
    figures, granted = cast("list[int]", answer)[:11], cast("list[int]", answer)[11:]
    next_in, reservations, capacity, paused_for, version, learnt, accepted, refused, epoch, number, state = figures
    pairs = zip(granted[::2], granted[1::2], strict=True)
    return Reply(
        granted=tuple((slot, wait / 1e6, None) for slot, wait in pairs),
        next_in=None if next_in < 0 else next_in / 1e6,
        reservations=reservations,
        capacity=capacity,
        paused_for=paused_for / 1e6,
        learnt=Learnt(version, learnt or None, accepted, refused),
        memory=Memory(epoch, number, cast("bytes", state)),
    )


def _micros(seconds: float) -> int:
    return max(round(seconds * 1e6), 0)


# A slot is {number, kind, from, free, worker}: its time, and when it is free again. Kind 0 is a reservation, 1 a
# request that is out, 2 one that was answered, 3 one that may have been given and was forgotten. All times are
# microseconds of the server's clock.
TEXT: Final = """\
local RESERVED, OUT, DONE, ASSUMED, GONE = 0, 1, 2, 3, 4
local ACCEPTED, REFUSED, UNUSED, STILL_OUT, AGAIN = '0', '1', '2', '5', '6'
local DAY, SECOND = 86400, 1000000
local GRACE, GENERATION = 50000, 60 * SECOND
local LEAST_TRIP, UNKNOWN_TRIP, LONGEST_TRIP = 50000, 200000, 5 * SECOND

local worker, report, seen = ARGV[1], ARGV[17], ARGV[18]
local n = {}
for i = 2, 16 do n[i] = tonumber(ARGV[i]) end
local wanted, reserve, lead, late, plan, per = n[2], n[3] == 1, n[4], n[5], n[6], n[7]
local shortest, longest, limit, pause, spaced = n[8], n[9], n[10], n[11], n[12]
local proposed, replaces, known_epoch, known_number = n[13], n[14], n[15], n[16]

local time = redis.call('TIME')
local now = time[1] * SECOND + time[2]
local stored = redis.call('GET', KEYS[1])
local state = stored and cmsgpack.unpack(stored)

-- Which run of which server this is: a restart or a failover may have lost the latest state. An account that may not
-- ask is told nothing, and then only a missing key and an old number show that something was forgotten.
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''

local went_back = state and known_epoch == state.epoch and known_number > state.number
local forgot = not state or state.server ~= server or went_back
if forgot and seen == '' and known_number > 0 then return false end

-- How long beyond its period a slot without an answer is held: until any request of its time has surely arrived.
local function hold()
  local trip = math.max(longest, state and math.max(state.longest, state.longest_before) or 0)
  if trip == 0 then trip = UNKNOWN_TRIP end
  return late + math.min(math.max(trip, LEAST_TRIP), LONGEST_TRIP)
end

local function add(kind, from, free, owner)
  state.number = state.number + 1
  table.insert(state.slots, {state.number, kind, from, free, owner or ''})
  return state.number
end

-- What the budget allows: the lowest of what is learnt, what the service states, and what the workers call the plan.
local function capacity()
  local learnt = state.learnt > 0 and state.learnt or math.huge
  return math.min(learnt, state.stated, state.lowest)
end

-- The server's clock was set back, or is another machine's: keep every distance.
local function shift()
  local back = state.written - now
  if back <= 0 then return end
  for _, slot in ipairs(state.slots) do slot[3], slot[4] = slot[3] - back, slot[4] - back end
  for _, name in ipairs({'paused', 'spaced', 'last', 'turn', 'agreed'}) do
    state[name] = state[name] - back
  end
end

-- What was forgotten was given out of the slots that could be free by now: all of those count as taken just now, until
-- their workers tell what they did with them.
local function restore()
  if seen ~= '' and (not state or went_back) then state = cmsgpack.unpack(seen) end
  if not state then
    state = {number = known_number, slots = {}, written = 0, last = 0, paused = 0, spaced = 0,
             learnt = 0, version = 0, accepted = 0, refused = 0, stated = math.huge, lowest = plan, agreed = 0,
             turn = now, shortest = 0, shortest_before = 0, longest = 0, longest_before = 0}
  end
  shift()
  local sure, taken = {}, 0
  for _, slot in ipairs(state.slots) do
    if slot[2] == RESERVED and slot[3] > now + lead then
      table.insert(sure, slot)
    elseif slot[2] ~= RESERVED and slot[3] + per > now then
      table.insert(sure, slot)
      taken = taken + 1
    end
  end
  state.slots = sure
  -- Numbers that were given and forgotten must not be given again: reports about them are still to come.
  state.number = math.max(state.number + 1000, known_number + 1000, math.floor(now / 1000))
  state.epoch, state.base, state.server = now, state.number, server
  for _ = taken + 1, math.min(capacity(), plan) do add(ASSUMED, now, now + per + hold()) end
end

if forgot then restore() else shift() end

-- Where workers name different figures the lowest is everybody's, for as long as somebody names it.
if plan <= state.lowest or now > state.agreed then state.lowest, state.agreed = plan, now + 10 * per end
if limit > 0 then state.stated = limit end
-- Here is only counted what the workers learn from. A figure that replaces another than the latest changes nothing.
if replaces == state.version then state.learnt, state.version = proposed, state.version + 1 end

-- The shortest and the longest round trip that anybody has seen in the last two minutes: what is safe for everybody.
local function least(one, other)
  if one == 0 or other == 0 then return math.max(one, other) end
  return math.min(one, other)
end
if now - state.turn > GENERATION then
  state.shortest_before, state.longest_before = state.shortest, state.longest
  state.shortest, state.longest, state.turn = 0, 0, now
end
state.shortest, state.longest = least(state.shortest, shortest), math.max(state.longest, longest)
local credit = math.floor(0.5 * least(state.shortest, state.shortest_before))

-- Slots are found by their number, and taken out together below: a scan for each report would take too long for many.
local by_number, first_assumed = {}, 1
for _, slot in ipairs(state.slots) do by_number[slot[1]] = slot end
local function take(number)
  local slot = by_number[number]
  if not slot or number == 0 then return end
  local kind = slot[2]
  by_number[number], slot[2] = nil, GONE
  return slot, kind
end
local function take_assumed()
  while state.slots[first_assumed] and state.slots[first_assumed][2] ~= ASSUMED do first_assumed = first_assumed + 1 end
  if state.slots[first_assumed] then state.slots[first_assumed][2] = GONE end
end

for number, age, code in string.gmatch(report, '(%d+),(%d+),(%d)') do
  number = tonumber(number)
  local at = now - age
  local slot, kind = take(number)
  local free = at + per
  if code == ACCEPTED then
    free = free - credit
    if slot then free = math.max(free, slot[3] + per + math.floor(per / 200)) end
  elseif code == STILL_OUT then
    free = math.max(slot and slot[4] or 0, math.min(now + per + hold(), at + per + LONGEST_TRIP))
  elseif code == AGAIN and kind == DONE then
    free = slot[4]
  end
  if code == ACCEPTED then state.accepted = state.accepted + 1 end
  if code == REFUSED then state.refused = state.refused + 1 end
  if code ~= UNUSED and free > now then
    -- One that was forgotten takes the place of one that was assumed.
    if not slot and number > 0 and number <= state.base then take_assumed() end
    local told = {number, code == STILL_OUT and OUT or DONE, slot and slot[3] or at, free, ''}
    table.insert(state.slots, told)
    by_number[number] = told
  end
end
if pause > 0 then
  state.paused = math.max(state.paused, now + pause)
  state.spaced = math.max(state.spaced, now + spaced)
end

local mine
local live = {}
for _, slot in ipairs(state.slots) do
  local lapsed = slot[2] == RESERVED and now > slot[3] + GRACE
  if slot[2] == RESERVED and slot[5] == worker then
    if not lapsed then mine = slot end
  elseif slot[2] ~= GONE and slot[4] > now and not lapsed then
    table.insert(live, slot)
  end
end
state.slots = live
local most = capacity()

-- When the slots are free, the earliest first, without the reservations after `before`. A hopeful answer, for a
-- reservation, takes requests that are out for answered in good time; whoever claims it is told the strict one.
local function frees_of(before, hopeful)
  local frees = {}
  for _, slot in ipairs(state.slots) do
    local free = slot[4]
    if hopeful and slot[2] ~= DONE then free = math.min(free, math.floor(slot[3] + 1.01 * per)) end
    if slot[2] ~= RESERVED or slot[3] <= before then table.insert(frees, free) end
  end
  table.sort(frees)
  return frees
end

-- When there is room for one more.
local function room(frees, hopeful)
  local at = math.max(now, state.paused)
  local over = #frees - most
  if over >= 0 then
    at = math.max(at, frees[over + 1])
    -- Where requests wait they leave one by one, so that answers are known before their slots are given again; but so
    -- quickly that what a killed worker left unused is made good at once.
    if hopeful then at = math.max(at, state.last + math.floor(0.3 * per / most)) end
  end
  -- A reservation behind the pause has its distance from the one before it.
  local distant = mine and mine[3] >= state.paused
  if at < state.spaced and not distant then at = math.max(at, state.last + math.floor(per / most)) end
  return at
end

local function insert_sorted(list, value)
  local place = #list + 1
  while place > 1 and list[place - 1] > value do place = place - 1 end
  table.insert(list, place, value)
end

local reply = {}
local next_at, frees
while wanted > 0 or reserve do
  local at
  if mine then
    at = math.max(mine[3], room(frees_of(mine[3], false), false))
  else
    frees = frees or frees_of(math.huge, false)
    at = room(frees, false)
  end
  if wanted == 0 or at > now + lead then
    local hoped = mine and at or room(frees_of(math.huge, true), true)
    next_at = hoped > now + lead and hoped or at
    state.last = math.max(state.last, next_at)
    add(RESERVED, next_at, next_at + per + hold(), worker)
    break
  end
  mine = nil
  state.last = math.max(state.last, at)
  local free = at + per + hold()
  table.insert(reply, add(OUT, at, free))
  table.insert(reply, at - now)
  if frees then insert_sorted(frees, free) end
  wanted = wanted - 1
end

local reservations = 0
for _, slot in ipairs(state.slots) do if slot[2] == RESERVED then reservations = reservations + 1 end end
state.written = now
local packed = cmsgpack.pack(state)
redis.call('SET', KEYS[1], packed, 'EX', DAY)
return {next_at and next_at - now or -1, reservations, most, math.max(state.paused - now, 0),
        state.version, state.learnt, state.accepted, state.refused, state.epoch, state.number, packed, unpack(reply)}
"""

DIGEST: Final = hashlib.sha1(TEXT.encode(), usedforsecurity=False).hexdigest()
