"""The shared budget as one script: what Redis does, in one step and by its own clock, when a worker calls.

The value under a budget's key is the list of its slots, counted as by `AckClockedWindow`: a slot is free one period
after its answer came, less a credit. A worker's call tells what became of its requests, takes the slots
that are free, and reserves one for the worker's next request. A reservation that is not claimed in time lapses, so that
a killed worker costs the others next to nothing.

What Redis may have forgotten (a restart, a failover, an evicted key) counts as spent, until the workers have said again
what they sent. Restarted servers are known by their empty script cache, which is why the script's text, and so its
digest, is one per budget.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final, Self, TypeAlias, cast

import attrs

__all__ = [
    "ACCEPTED",
    "AGAIN",
    "EXTRA",
    "LOST",
    "OUT",
    "REFUSED",
    "UNUSED",
    "Ask",
    "Memory",
    "Reply",
    "Report",
    "Script",
]

ACCEPTED: Final = 0
REFUSED: Final = 1
UNUSED: Final = 2
LOST: Final = 3
EXTRA: Final = 4
OUT: Final = 5
AGAIN: Final = 6

Report: TypeAlias = tuple[int, float, int]
"""Number of the slot, seconds since its answer (since it left, for `OUT`), and one of the codes above."""


@attrs.frozen
class Memory:
    """What a worker last saw of the shared state, with which it can be restored.

    Attributes:
        epoch: When the state began, or was last restored; 0 if the worker has seen none.
        number: Number of the last slot that was given then.
        state: The packed state itself.
    """

    epoch: int = 0
    number: int = 0
    state: bytes = attrs.field(default=b"", repr=False)


@attrs.frozen(kw_only=True)
class Ask:
    """One call of a worker; times are durations in seconds, so that no clock but that of Redis matters.

    Attributes:
        worker: Who calls.
        wanted: How many requests wait to be sent.
        reserve: Whether to reserve a slot even if nobody waits after that.
        lead: How long before its time a slot may be given for good.
        late: How much later than given a slot may be used, and no later.
        requests: The plan's figure.
        per: The plan's period.
        shortest_trip: The shortest round trip to the service of late; 0 if unknown.
        longest_trip: The longest one; 0 if unknown.
        limit: What the service calls its limit; 0 if it says nothing.
        pause: How long nobody may send, from now on.
        spaced: How long requests leave evenly spaced, from now on: a pause that the service asked for, and a period.
        reports: What became of earlier requests.
        repeated: What was reported before, for a server that may have forgotten it.
        doubtful: Whether this one may have: the last call failed.
        memory: What the worker last saw.
    """

    worker: str
    wanted: int
    reserve: bool
    lead: float
    late: float
    requests: int
    per: float
    shortest_trip: float = 0.0
    longest_trip: float = 0.0
    limit: int = 0
    pause: float = 0.0
    spaced: float = 0.0
    reports: Sequence[Report] = ()
    repeated: Sequence[Report] = ()
    doubtful: bool = False
    memory: Memory = Memory()

    def arguments(self, *, fresh: bool) -> list[str | bytes]:
        """Return the script's arguments; `fresh` if the server did not know the script, and the memory is needed."""
        figures = (
            self.wanted,
            int(self.reserve),
            _micros(self.lead),
            _micros(self.late),
            self.requests,
            _micros(self.per),
            _micros(self.shortest_trip),
            _micros(self.longest_trip),
            self.limit,
            _micros(self.pause),
            _micros(self.spaced),
            self.memory.epoch,
            self.memory.number,
            int(fresh),
        )
        told = (*(self.repeated if fresh or self.doubtful else ()), *self.reports)
        reports = "".join(f"{number},{_micros(age)},{code};" for number, age, code in told)
        return [self.worker, *map(str, figures), reports, self.memory.state if fresh else b""]


@attrs.frozen(kw_only=True)
class Reply:
    """What a call brought; times are seconds from the moment of the call.

    Attributes:
        granted: Numbers of the slots that were given for good, each with the wait until its time.
        next_in: The wait for the slot that is reserved; None if there is none.
        reservations: Slots that are reserved, for all workers.
        capacity: Requests per period that the budget allows at present.
        paused_for: The rest of a pause; 0 if there is none.
        memory: What to remember.
    """

    granted: tuple[tuple[int, float], ...]
    next_in: float | None
    reservations: int
    capacity: int
    paused_for: float
    memory: Memory

    @classmethod
    def read(cls, answer: object) -> Self:
        """Return what the script answered."""
        next_in, reservations, capacity, paused_for, epoch, number, state, *granted = cast("list[int]", answer)
        pairs = zip(granted[::2], granted[1::2], strict=True)
        return cls(
            granted=tuple((slot, wait / 1e6) for slot, wait in pairs),
            next_in=None if next_in < 0 else next_in / 1e6,
            reservations=reservations,
            capacity=capacity,
            paused_for=paused_for / 1e6,
            memory=Memory(epoch, number, cast("bytes", state)),
        )


class Script:
    """The script of one budget.

    Args:
        key: The budget's key.
    """

    def __init__(self, key: str) -> None:
        self.key = key
        self.text = f"-- {key}\n{_TEXT}"
        self.digest = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()


def _micros(seconds: float) -> int:
    return max(round(seconds * 1e6), 0)


# A slot is {number, kind, from, free, worker}: its time, and when it is free again. Kind 0 is a reservation, 1 a
# request that is out, 2 one that was answered, 3 one that may have been given and was forgotten. All times are
# microseconds of the server's clock.
_TEXT: Final = """\
local RESERVED, OUT, DONE, ASSUMED = 0, 1, 2, 3
local ACCEPTED, REFUSED, UNUSED, STILL_OUT, AGAIN = '0', '1', '2', '5', '6'
local DAY, SECOND = 86400, 1000000
local GRACE, GENERATION = 50000, 60 * SECOND
local LEAST_TRIP, UNKNOWN_TRIP, LONGEST_TRIP = 50000, 200000, 5 * SECOND
local FIRST_PROBE, LAST_PROBE = 4 * SECOND, 24 * SECOND

local worker, report, seen = ARGV[1], ARGV[16], ARGV[17]
local n = {}
for i = 2, 15 do n[i] = tonumber(ARGV[i]) end
local wanted, reserve, lead, late, plan, per = n[2], n[3] == 1, n[4], n[5], n[6], n[7]
local shortest, longest, limit, pause, spaced = n[8], n[9], n[10], n[11], n[12]
local known_epoch, known_number, fresh = n[13], n[14], n[15] == 1

local time = redis.call('TIME')
local now = time[1] * SECOND + time[2]
local stored = redis.call('GET', KEYS[1])
local state = stored and cmsgpack.unpack(stored)

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

local function take(field, value)
  for i, slot in ipairs(state.slots) do
    if slot[field] == value then return table.remove(state.slots, i) end
  end
end

-- The server's clock was set back, or is another machine's: keep every distance.
local function shift()
  local back = state.written - now
  if back <= 0 then return end
  for _, slot in ipairs(state.slots) do slot[3], slot[4] = slot[3] - back, slot[4] - back end
  for _, name in ipairs({'paused', 'spaced', 'last', 'counts', 'probe', 'turn', 'agreed'}) do
    state[name] = state[name] - back
  end
end

-- What was forgotten was given out of the slots that could be free by now: all of those count as taken just now, until
-- their workers tell what they did with them.
local function restore()
  if seen ~= '' and (not state or known_epoch == state.epoch and known_number > state.number) then
    state = cmsgpack.unpack(seen)
  end
  if not state then
    state = {number = known_number, slots = {}, written = 0, last = 0, paused = 0, spaced = 0,
             capacity = plan, plan = plan, stated = math.huge, score = 0, counts = 0, probe = 0, wait = FIRST_PROBE,
             turn = now, lowest = plan, agreed = 0, shortest = 0, shortest_before = 0, longest = 0, longest_before = 0}
  end
  shift()
  local sure = {}
  for _, slot in ipairs(state.slots) do
    if slot[2] == RESERVED and slot[3] > now + lead then
      table.insert(sure, slot)
    elseif slot[2] ~= RESERVED and slot[3] + per > now then
      table.insert(sure, slot)
    end
  end
  state.slots = sure
  -- Numbers that were given and forgotten must not be given again: reports about them are still to come.
  state.number = math.max(state.number + 1000, known_number + 1000, math.floor(now / 1000))
  state.epoch, state.base = now, state.number
  for _ = #sure + 1, math.min(state.capacity, plan) do add(ASSUMED, now, now + per + hold()) end
end

local raced = state and fresh and now - state.epoch < SECOND
local went_back = state and known_epoch == state.epoch and known_number > state.number
if not state or went_back or (fresh and not raced) then restore() else shift() end

if plan > state.plan then
  if state.capacity == state.plan then state.capacity = plan end
  state.plan = plan
end
-- Where workers name different figures the lowest is everybody's, for as long as somebody names it.
if plan <= state.lowest or now > state.agreed then state.lowest, state.agreed = plan, now + 10 * per end
if limit > 0 then state.stated = limit end
local ceiling = math.min(state.stated, state.plan)
state.capacity = math.min(state.capacity, ceiling)

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

local function learn(refused)
  if not refused then
    state.score = state.score * 0.95
    return
  end
  state.score = state.score + 1
  if state.score < 2.5 or now < state.counts then return end
  state.wait = state.capacity == state.plan and FIRST_PROBE or math.min(2 * state.wait, LAST_PROBE)
  state.capacity = math.max(math.min(state.capacity - 1, math.floor(0.8 * state.capacity)), 1)
  state.score, state.counts, state.probe = 0, now + 1.5 * per, now + state.wait
end

for number, age, code in string.gmatch(report, '(%d+),(%d+),(%d)') do
  number = tonumber(number)
  local at = now - age
  local slot = number > 0 and take(1, number) or nil
  local free = at + per
  if code == ACCEPTED then
    free = free - credit
    if slot then free = math.max(free, slot[3] + per + math.floor(per / 200)) end
  elseif code == STILL_OUT then
    free = math.max(slot and slot[4] or 0, math.min(now + per + hold(), at + per + LONGEST_TRIP))
  elseif code == AGAIN and slot and slot[2] == DONE then
    free = slot[4]
  end
  if code == ACCEPTED or code == REFUSED then learn(code == REFUSED) end
  if code ~= UNUSED and free > now then
    -- One that was forgotten takes the place of one that was assumed.
    if not slot and number > 0 and number <= state.base then take(2, ASSUMED) end
    table.insert(state.slots, {number, code == STILL_OUT and OUT or DONE, slot and slot[3] or at, free, ''})
  end
end
if state.capacity < ceiling and now > state.probe and state.score < 1 then
  state.capacity, state.wait = state.capacity + 1, math.max(state.wait / 2, FIRST_PROBE / 2)
  state.probe = now + state.wait
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
  elseif slot[4] > now and not lapsed then
    table.insert(live, slot)
  end
end
state.slots = live
local capacity = math.min(state.capacity, state.lowest)

-- When there is room, behind the reservations until `before`. A hopeful answer, for a reservation, takes requests that
-- are out for answered in good time; whoever claims the reservation is told the strict one.
local function room(before, hopeful)
  local frees = {}
  for _, slot in ipairs(state.slots) do
    local free = slot[4]
    if hopeful and slot[2] ~= DONE then free = math.min(free, math.floor(slot[3] + 1.01 * per)) end
    if slot[2] ~= RESERVED or slot[3] <= before then table.insert(frees, free) end
  end
  local at = math.max(now, state.paused)
  local over = #frees - capacity
  if over >= 0 then
    table.sort(frees)
    at = math.max(at, frees[over + 1])
    -- Where requests wait they leave one by one, so that answers are known before their slots are given again; but so
    -- quickly that what a killed worker left unused is made good at once.
    if hopeful then at = math.max(at, state.last + math.floor(0.3 * per / capacity)) end
  end
  -- A reservation behind the pause has its distance from the one before it.
  local distant = mine and mine[3] >= state.paused
  if at < state.spaced and not distant then at = math.max(at, state.last + math.floor(per / capacity)) end
  return at
end

local reply = {}
local next_at
while wanted > 0 or reserve do
  local at = mine and math.max(mine[3], room(mine[3], false)) or room(math.huge, false)
  if wanted == 0 or at > now + lead then
    local hoped = mine and at or room(math.huge, true)
    next_at = hoped > now + lead and hoped or at
    state.last = math.max(state.last, next_at)
    add(RESERVED, next_at, next_at + per + hold(), worker)
    break
  end
  mine = nil
  state.last = math.max(state.last, at)
  table.insert(reply, add(OUT, at, at + per + hold()))
  table.insert(reply, at - now)
  wanted = wanted - 1
end

local reservations = 0
for _, slot in ipairs(state.slots) do if slot[2] == RESERVED then reservations = reservations + 1 end end
state.written = now
local packed = cmsgpack.pack(state)
redis.call('SET', KEYS[1], packed, 'EX', DAY)
return {next_at and next_at - now or -1, reservations, capacity, math.max(state.paused - now, 0),
        state.epoch, state.number, packed, unpack(reply)}
"""
