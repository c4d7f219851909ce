// What the page calls things: phases, causes, counts and times in words.

// The glyph is part of the state's name, so that nobody needs its colour.
export const PHASES = {
  pending: { glyph: "…", word: "Waiting to start" },
  connecting: { glyph: "◌", word: "Connecting" },
  running: { glyph: "●", word: "Running" },
  degraded: { glyph: "▲", word: "Degraded" },
  reconnecting: { glyph: "↻", word: "Reconnecting" },
  failed: { glyph: "✕", word: "Failed" },
  stopped: { glyph: "■", word: "Ended" },
};

const CAUSES = {
  connection_failed: "The camera cannot be reached.",
  auth_failed: "The camera asks for a user name and a password, and was given none or wrong ones.",
  transport_refused: "The camera does not send its video over TCP.",
  waiting_for_key_picture: "Waiting for the camera's next key picture.",
  corrupt_video: "The camera's video arrives broken.",
  ends_early: "The recording ends early, as if cut off.",
  tls_certificate: "The camera's certificate is not trusted.",
  tls_handshake: "The secure connection to the camera cannot be set up.",
  timeout: "The camera stopped sending pictures.",
  not_found: "The camera has nothing at this address.",
  codec_unsupported: "The camera sends a format that cannot be decoded.",
  no_video: "There is no video at this address.",
  frozen_picture: "The picture does not change any more.",
  overloaded: "This machine does not keep up.",
  ended: "The recording is over.",
  nats_away: "This front door has lost its cluster; the stream itself goes on.",
  node_away: "Its node is gone; another one takes it in seconds.",
};

export const MODES = {
  atttrack: "AttTrack: teacher guides student",
  "no-update": "Guided, heatmap not moved",
  naive: "Teacher and student in turn",
  teacher: "Teacher on every frame",
  student: "Student on every frame",
};

export const causeWords = ({ cause, message }) => CAUSES[cause] ?? message ?? "";

// not only people: whoever has a class of another name, too.
export const people = (count, notOnlyPeople = false) =>
  notOnlyPeople ? `${count} tracked` : count === 1 ? "1 person" : `${count} people`;

export const plain = (value, digits = 0) => (value === null || value === undefined ? "–" : value.toFixed(digits));

export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 60) return `${seconds.toFixed(seconds < 10 ? 1 : 0)} s`;
  const minutes = Math.floor(seconds / 60);
  return minutes < 60 ? `${minutes} min` : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

const VERDICTS = {
  better: "the new student was better and is taken",
  shipped: "the pair's own student was better and is back",
  not_better: "the new student was not better, so nothing changed",
  too_few: "too few people were seen to learn from",
  failed: "the last round failed; the service's log has the reason",
};

// What live adaptation does, and what it came to last.
export function adaptationWords({ phase, doing, share, student, rounds, stretches, last }) {
  const who = student ? `Student of round ${student}` : "The pair's own student";
  if (phase === "unavailable") return `${who}. ${doing}.`;
  const now = phase === "learning" ? `${doing}, ${Math.round(100 * share)} %` : `${stretches} stretches kept to learn from`;
  const then = last ? `; round ${rounds}: ${VERDICTS[last.verdict] ?? last.verdict}` : "";
  return `${who}; ${now}${then}.`;
}

// When the next attempt is made, counted down.
export function nextRetry({ attempts, next_retry: at }) {
  if (!at) return "";
  const seconds = Math.max(0, Math.ceil(at - Date.now() / 1000));
  return `Attempt ${attempts + 1} ${seconds ? `in ${seconds} s` : "now"}.`;
}

// What happened, as a sentence.
export function eventWords({ type, zone, zone_name: name, person, class: kind, direction, dwell }) {
  const where = name || zone;
  const who = kind ? `${kind} #${person}` : `#${person}`;
  if (type === "enter") return `${who} entered ${where}`;
  if (type === "leave") return `${who} left ${where} after ${duration(dwell)}`;
  if (type === "cross") return `${who} crossed ${where} ${direction} ${direction === "forward" ? "↗" : "↙"}`;
  return "The camera was away";
}
