"""The shared budget as a script that Redis runs for each call of a worker, atomically and with the clock of Redis.

The algorithm is that of `rate_limit.shared.state`, which explains it. A test checks that both give the same answers. In
addition, the script handles the loss of its state:

Requests that Redis may have forgotten (after a restart, a failover or the eviction of the key) count as sent, until the
workers have reported their requests again. The script recognizes a restarted server by its run id, and a lost or old
state by the number that the worker knows.
"""

from __future__ import annotations

import hashlib
from typing import Final, cast

from launch_async.rate_limit.shared.messages import Ask, Memory, Reply
from launch_async.rate_limit.types import Priority

__all__ = ["DIGEST", "TEXT", "arguments", "read"]


def arguments(ask: Ask, *, with_memory: bool) -> list[str | bytes]:
    """Return the script's arguments, with the worker's copy of the state if the server has asked for it."""
    figures = (
        *ask.waiting,
        0 if ask.reserve is None else ask.reserve + 1,
        _micros(ask.poll_interval),
        _micros(ask.lead),
        _micros(ask.late),
        ask.requests,
        _micros(ask.per),
        _micros(ask.shortest_trip),
        _micros(ask.longest_trip),
        ask.limit,
        _micros(ask.pause),
        _micros(ask.spaced),
        ask.memory.epoch,
        ask.memory.number,
    )
    entry = (*(ask.repeated if with_memory or ask.doubtful else ()), *ask.reports)
    reports = "".join(f"{number},{_micros(age)},{code};" for number, age, code in entry)
    return [ask.worker, *map(str, figures), reports, ask.memory.state if with_memory else b""]


def read(answer: object) -> Reply:
    """Return the reply from the script's result."""
    figures, granted = cast("list[int]", answer)[:8], cast("list[int]", answer)[8:]
    next_in, reservations, capacity, per, paused_for, epoch, number, state = figures
    slots = zip(granted[::3], granted[1::3], granted[2::3], strict=True)
    return Reply(
        granted=tuple((slot, wait / 1e6, Priority(place - 1)) for slot, wait, place in slots),
        next_in=None if next_in < 0 else next_in / 1e6,
        reservations=reservations,
        capacity=capacity / 1e6,
        per=per / 1e6,
        paused_for=paused_for / 1e6,
        memory=Memory(epoch, number, cast("bytes", state)),
    )


def _micros(seconds: float) -> int:
    return max(round(seconds * 1e6), 0)


# A slot is {number, kind, from, free, poll}: its time, the time at which it is free again, and 1 for a poll. Kind 1 is
# a request without an answer, kind 2 an answered request, and kind 3 a slot that may have been given and was forgotten.
# All times are microseconds of the server's clock.
TEXT: Final = """\
local OUT, DONE, ASSUMED, GONE = 1, 2, 3, 4
local POLL = 3
local ACCEPTED, REFUSED, UNUSED, STILL_OUT, AGAIN = '0', '1', '2', '5', '6'
local DAY, SECOND = 86400, 1000000
local GRACE, GENERATION = 100000, 60 * SECOND
local LEAST_TRIP, ASSUMED_TRIP, UNKNOWN_TRIP, LONGEST_TRIP = 250000, 200000, SECOND, 5 * SECOND

local worker, report, seen = ARGV[1], ARGV[18], ARGV[19]
local n = {}
for i = 2, 17 do n[i] = tonumber(ARGV[i]) end
local waiting, reserve, poll_interval, lead, late, plan, per = {n[2], n[3], n[4]}, n[5], n[6], n[7], n[8], n[9], n[10]
local shortest, longest, limit, pause, spaced = n[11], n[12], n[13], n[14], n[15]
local known_epoch, known_number = n[16], n[17]

local time = redis.call('TIME')
local now = time[1] * SECOND + time[2]
local stored = redis.call('GET', KEYS[1])
local state = stored and cmsgpack.unpack(stored)

-- The run id of the server. After a restart or a failover, the latest state may be lost. An account without the right
-- to read the run id receives an error. Then only a missing key or an old number shows that the state was lost.
local info = redis.pcall('INFO', 'server')
local server = type(info) == 'string' and string.match(info, 'run_id:(%w+)') or ''

local went_back = state and known_epoch == state.epoch and known_number > state.number
local forgot = not state or state.server ~= server or went_back
if forgot and seen == '' and known_number > 0 then return false end

-- The time beyond its period that a slot without an answer is held, until its request has certainly arrived.
local function hold(unknown)
  local trip = math.max(longest, state and math.max(state.longest, state.longest_before) or 0)
  if trip == 0 then trip = unknown or UNKNOWN_TRIP end
  return late + math.min(math.max(trip, LEAST_TRIP), LONGEST_TRIP)
end

local function add(kind, from, free, poll)
  state.number = state.number + 1
  table.insert(state.slots, {state.number, kind, from, free, poll or 0})
  return state.number
end

-- Allowed requests per period: the lower of the service's stated limit and the lowest limit of the workers.
local function allowed() return math.min(state.stated, state.lowest) end

-- Current capacity, as in `rate_limit.control_law`.
local function capacity(at)
  local all = allowed()
  if state.low >= all then return all end
  local small = math.min(state.low / (0.5 * all), 1) ^ 2
  local grown = 2 ^ math.min(math.max(at - state.since, 0) / per / 8, 50) - 1
  return math.min(state.low + 0.08 * all * small * grown, all)
end
local function learn(slot, refused_at)
  local in_use, most = 0, capacity(refused_at)
  for _, other in ipairs(state.slots) do
    if other == slot or (other[2] ~= GONE and (other[2] ~= DONE or other[4] > refused_at)) then in_use = in_use + 1 end
  end
  if slot[3] < state.since + 0.5 * per or in_use < 0.5 * most then return end
  local share = most / allowed()
  state.low, state.since = most * (share > 0.75 and 0.6 or share > 0.5 and 0.8 or 0.9), refused_at
end

-- Keep all intervals if the server's clock was set back, or if another machine answers now.
local function shift()
  local back = state.written - now
  if back <= 0 then return end
  for _, slot in ipairs(state.slots) do slot[3], slot[4] = slot[3] - back, slot[4] - back end
  for _, place in ipairs(state.reservations) do place[4] = place[4] - back end
  for _, name in ipairs({'paused', 'spaced', 'last', 'full', 'next_poll', 'since', 'turn', 'agreed'}) do
    state[name] = state[name] - back
  end
end

-- Forgotten slots were given from the slots that could be free by now. All of these count as taken now, until their
-- workers report them.
local function restore()
  if seen ~= '' and (not state or went_back) then state = cmsgpack.unpack(seen) end
  if not state then
    state = {number = known_number, slots = {}, reservations = {}, ticket = 0, passed_over = {0, 0, 0}, written = 0,
             last = 0, full = 0, next_poll = 0, paused = 0, spaced = 0, low = math.huge, since = 0,
             stated = math.huge, lowest = plan, per = per, agreed = 0, turn = now,
             shortest = 0, shortest_before = 0, longest = 0, longest_before = 0}
  end
  shift()
  local sure = {}
  for _, slot in ipairs(state.slots) do
    if slot[3] + per > now then table.insert(sure, slot) end
  end
  state.slots = sure
  -- Do not give forgotten numbers again, because reports about them can still arrive.
  state.number = math.max(state.number + 1000, known_number + 1000, math.floor(now / 1000))
  state.epoch, state.base, state.server = now, state.number, server
  for _ = #sure + 1, math.min(math.ceil(capacity(now)), plan) do add(ASSUMED, now, now + per + hold(ASSUMED_TRIP)) end
end

if forgot then restore() else shift() end

-- If workers name different limits, all use the lowest, as long as a worker names it.
if plan * state.per <= state.lowest * per or now > state.agreed then
  state.lowest, state.per, state.agreed = plan, per, now + 10 * per
end
per = state.per
if limit > 0 then state.stated = limit end

-- The shortest and the longest round trip of all workers in the last two minutes, which are safe for every worker.
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

-- Index the slots by number and remove them together below, because a scan per report would take too long.
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
    if slot then free = math.max(free, slot[3] + per + math.floor(per * 0.01)) end
  elseif code == STILL_OUT then
    free = math.max(slot and slot[4] or 0, math.min(now + per + hold(), at + per + LONGEST_TRIP))
  elseif code == AGAIN and kind == DONE then
    free = slot[4]
  elseif code == UNUSED and slot then
    -- The request before it left at least one interval earlier.
    if slot[3] == state.last then state.last = state.last - math.floor(per / capacity(now)) end
    if slot[5] > 0 then state.next_poll = state.next_poll - poll_interval end
  end
  if code == REFUSED and slot then learn(slot, at) end
  if code ~= UNUSED and free > now then
    -- A forgotten slot replaces an assumed one.
    if not slot and number > 0 and number <= state.base then take_assumed() end
    local entry = {number, code == STILL_OUT and OUT or DONE, slot and slot[3] or at, free, slot and slot[5] or 0}
    table.insert(state.slots, entry)
    by_number[number] = entry
  end
end
if pause > 0 then
  state.paused = math.max(state.paused, now + pause)
  state.spaced = math.max(state.spaced, now + spaced)
end

local live = {}
for _, slot in ipairs(state.slots) do
  if slot[2] ~= GONE and slot[4] > now then table.insert(live, slot) end
end
state.slots = live
local capacity_now = capacity(now)
local most, is_lowered = math.ceil(capacity_now), capacity_now < allowed()

-- Reservations {worker, priority, ticket, time}, in the order of their tickets. A reservation that is not used in time
-- expires, so a killed worker delays the others very little.
local others, mine = {}, {}
for _, place in ipairs(state.reservations) do
  if place[4] + GRACE >= now then
    if place[1] == worker then mine[place[2]] = place else table.insert(others, place) end
  end
end

local function is_due(priority) return priority ~= POLL or state.next_poll <= now + lead end

local function place_of(priority)
  if not mine[priority] then
    state.ticket = state.ticket + 1
    mine[priority] = {worker, priority, state.ticket, math.huge}
  end
  return mine[priority]
end

-- The worker's reservation that is served first, and the reservations of others before it. The most urgent is first,
-- then the earliest. Each waiting priority gets at least one of ten slots in a row.
local function turn(places)
  local queues, heads, passed_over, served = {{}, {}, {}}, {1, 1, 1}, {}, {}
  for i = 1, 3 do passed_over[i] = state.passed_over[i] end
  for _, other in ipairs(others) do
    local own = places[other[2]]
    if (own and other[3] < own[3]) or (not own and is_due(other[2])) then table.insert(queues[other[2]], other) end
  end
  for i = 1, 3 do table.insert(queues[i], places[i]) end
  while true do
    local chosen, starved
    for i = 1, 3 do
      if queues[i][heads[i]] then
        chosen = chosen or i
        if passed_over[i] >= 8 then starved = i end
        passed_over[i] = passed_over[i] + 1
      end
    end
    chosen = starved or chosen
    passed_over[chosen] = 0
    local following = queues[chosen][heads[chosen]]
    if following == places[chosen] then return following, served end
    table.insert(served, following)
    heads[chosen] = heads[chosen] + 1
  end
end

-- The times at which the slots are free, in order. For a reservation, the answers are assumed to arrive as usual
-- (`hopeful`). For a slot that is given now, they are not.
local function frees_of(hopeful)
  local frees = {}
  for _, slot in ipairs(state.slots) do
    local free = slot[4]
    if hopeful and slot[2] ~= DONE then free = math.min(free, math.floor(slot[3] + 1.01 * per)) end
    table.insert(frees, free)
  end
  table.sort(frees)
  return frees
end

-- The time of the next free slot, after `ahead` other requests that have not left yet.
local function room(ahead, frees)
  local at = math.max(now, state.paused)
  local turns, rest = math.floor(ahead / most), ahead % most
  local over = #frees - most + rest
  if over >= 0 then at = math.max(at, frees[over + 1]) end
  at = at + turns * per
  -- Spread the requests, so that the server has free slots when another program sends its first request.
  if now < state.full then at = math.max(at, state.last + math.floor((ahead + 1) * 0.2 * per / most)) end
  -- A fractional slot is a longer wait.
  if at < state.spaced or is_lowered then
    at = math.max(at, state.last + math.floor((ahead + 1) * per / capacity_now))
  end
  return at
end

local function insert_sorted(list, value)
  local place = #list + 1
  while place > 1 and list[place - 1] > value do place = place - 1 end
  table.insert(list, place, value)
end

local reply = {}
local strict, held = frees_of(false), per + hold()
while true do
  local places = {}
  for priority = 1, 3 do
    if waiting[priority] > 0 and is_due(priority) then places[priority] = place_of(priority) end
  end
  if not next(places) then break end
  local place, ahead = turn(places)
  local count = 0
  for _, other in ipairs(ahead) do
    if other[4] <= math.max(place[4], now) then count = count + 1 end
  end
  local at = room(count, strict)
  if place[2] == POLL then at = math.max(at, state.next_poll) end
  if at > now + lead then break end
  local waits = {}
  for _, other in ipairs(others) do waits[other[2]] = true end
  for priority = 1, 3 do
    if waits[priority] or waiting[priority] > 0 then state.passed_over[priority] = state.passed_over[priority] + 1 end
  end
  state.passed_over[place[2]] = 0
  waiting[place[2]] = waiting[place[2]] - 1
  mine[place[2]] = nil
  if place[2] == POLL then state.next_poll = at + poll_interval end
  state.last = math.max(state.last, at)
  insert_sorted(strict, at + held)
  table.insert(reply, add(OUT, at, at + held, place[2] == POLL and 1 or 0))
  table.insert(reply, at - now)
  table.insert(reply, place[2])
end

-- A reservation for each priority that still waits, at the time that is expected if answers arrive as usual.
if reserve > 0 and waiting[1] + waiting[2] + waiting[3] == 0 then waiting[reserve] = 1 end
local next_at
local hopeful = frees_of(true)
for priority = 1, 3 do
  if waiting[priority] > 0 then
    local place = place_of(priority)
    local _, ahead = turn({[priority] = place})
    local at, polls_from, latest = room(#ahead, hopeful), 0, state.last
    if priority == POLL then
      polls_from = state.next_poll
      for _, other in ipairs(ahead) do
        if other[2] == POLL then polls_from = polls_from + poll_interval end
      end
    end
    at = math.max(at, polls_from)
    if #hopeful + #ahead >= most then
      state.full = now + 2 * per
      -- Waiting requests leave one by one, so that answers arrive before the next turn. The interval is short enough to
      -- use the slots that a killed worker left unused.
      for _, other in ipairs(ahead) do latest = math.max(latest, other[4]) end
      at = math.max(at, latest + math.floor(0.3 * per / most))
    end
    if at <= now + lead then at = math.max(room(#ahead, strict), polls_from) end
    place[4] = at
    local index = #others + 1
    while index > 1 and others[index - 1][3] > place[3] do index = index - 1 end
    table.insert(others, index, place)
    next_at = math.min(next_at or at, at)
  end
end
state.reservations = others
state.written = now
local packed = cmsgpack.pack(state)
redis.call('SET', KEYS[1], packed, 'EX', DAY)
local paused_for = math.max(state.paused - now, 0)
return {next_at and next_at - now or -1, #others, math.floor(capacity_now * SECOND), per, paused_for,
        state.epoch, state.number, packed, unpack(reply)}
"""

DIGEST: Final = hashlib.sha1(TEXT.encode(), usedforsecurity=False).hexdigest()
