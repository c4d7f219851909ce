// The state of the stream watched, in words: a chip, the cause with its countdown, and a notice over the picture while
// there is none. Changes are spoken by screen readers; the countdown is not.

import { PHASES, causeWords, nextRetry } from "./words.js";

export class State {
  constructor(at) {
    this.chip = at("state");
    this.cause = at("cause");
    this.notice = at("notice");
    this.spoken = at("spoken");
    this.said = "";
    this.stream = null;
    setInterval(() => this.stream && this.count(), 500);
  }

  show(stream) {
    this.stream = stream;
    if (!stream) return;
    const { phase, message } = stream.state;
    const { glyph, word } = PHASES[phase];
    const cause = phase === "running" ? "" : causeWords(stream.state);
    this.chip.className = `chip ${phase}`;
    this.chip.textContent = `${glyph} ${word}`;
    this.chip.title = `since ${new Date(stream.state.since * 1000).toLocaleTimeString()}`;
    this.notice.hidden = phase === "running" || phase === "degraded";
    this.notice.classList.toggle("busy", ["pending", "connecting", "reconnecting"].includes(phase));
    this.notice.querySelector("h2").textContent = `${glyph} ${word}`;
    this.notice.querySelector(".why").textContent = cause;
    this.notice.querySelector(".detail").textContent = message && message !== cause ? message : "";
    const advice = message && message !== cause ? ` ${message[0].toUpperCase()}${message.slice(1)}.` : "";
    this.cause.textContent = phase === "degraded" ? cause + advice : "";
    const saying = `${stream.name}: ${word}. ${cause}`;
    if (saying !== this.said) this.spoken.textContent = this.said = saying;
    this.count();
  }

  count() {
    this.notice.querySelector(".retry").textContent = nextRetry(this.stream.state);
  }
}
