// Names the phase of the Moon for the visitor's own clock.
const SYNODIC_MONTH = 29.530588853;
const A_NEW_MOON = Date.UTC(2000, 0, 6, 18, 14);
const DAY = 24 * 60 * 60 * 1000;
const PHASES = [
  "new", "a waxing crescent", "at first quarter", "waxing gibbous",
  "full", "waning gibbous", "at last quarter", "a waning crescent",
];

const age = ((Date.now() - A_NEW_MOON) / DAY) % SYNODIC_MONTH;
const phase = PHASES[Math.round((age / SYNODIC_MONTH) * PHASES.length) % PHASES.length];

document.getElementById("moon").textContent =
  `Tonight the Moon is ${phase}, ${Math.floor(age)} days after the last new moon.`;
