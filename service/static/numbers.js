// The live numbers of the stream watched: rate, frame age, people and ID retention, each as a number and a chart.

import { Chart } from "./chart.js";
import { Retention } from "./retention.js";
import { Rhythm } from "./rhythm.js";
import { plain } from "./words.js";

const SECOND_MS = 1000;
const HOLD_MS = 3000; // what was known that long ago still holds, so that slow streams have lines too
const SMOOTH = 3; // seconds of which the rate is the mean
const percent = (share) => `${Math.floor(share * 100)} %`;

export class Numbers {
  constructor(at) {
    this.at = at; // element by id
    this.rhythm = new Rhythm(at("age-chart"));
    this.rate = new Chart(at("rate-chart"), { what: "Frames per second", top: 5, show: (rate) => rate.toFixed(0) });
    this.crowd = new Chart(at("people-chart"), { what: "People", top: 4, show: String });
    this.kept = new Chart(at("kept-chart"), { what: "Identities kept", top: 1, show: percent });
    this.clear();
    setInterval(() => this.sample(), SECOND_MS);
  }

  clear() {
    this.frames = 0;
    this.rates = [];
    this.people = null;
    this.heardAt = -Infinity;
    this.keptLast = null;
    this.retention = new Retention();
    this.lately = [];
    this.sampledAt = performance.now();
    for (const chart of [this.rate, this.crowd, this.kept, this.rhythm]) chart.clear();
    for (const id of ["rate", "age", "age-p95", "people", "kept"]) this.at(id).textContent = "–";
  }

  add(message) {
    this.frames += 1 + message.gap;
    this.people = message.tracks.length;
    this.heardAt = performance.now();
    this.at("people").textContent = this.people;
    this.retention.add(message);
    this.rhythm.add(message);
  }

  // What the service says of itself: ages over the last seconds.
  show({ stats }) {
    this.at("age").textContent = plain(stats.frame_age_p50_ms);
    this.at("age-p95").textContent = plain(stats.frame_age_p95_ms);
    this.at("size").textContent = stats.width ? `${stats.width} × ${stats.height}` : "–";
    this.at("dropped").textContent = stats.dropped;
    this.at("frames").textContent = stats.frames;
  }

  sample() {
    const now = performance.now();
    const seconds = (now - this.sampledAt) / SECOND_MS;
    if (document.hidden || seconds < 0.5) return;
    const live = now - this.heardAt < HOLD_MS;
    this.rates = [...this.rates, this.frames / seconds].slice(-SMOOTH);
    const rate = this.rates.reduce((sum, one) => sum + one, 0) / this.rates.length;
    this.at("rate").textContent = live ? plain(rate, rate < 10 ? 1 : 0) : "–";
    this.rate.add(live ? rate : null);
    this.crowd.add(live ? this.people : null);
    if (!live) this.at("people").textContent = "–";
    const kept = this.retention.take();
    this.keptLast = live ? kept ?? this.keptLast : null;
    this.kept.add(this.keptLast);
    this.lately = [...this.lately, kept].slice(-10);
    const known = this.lately.filter((share) => share !== null);
    this.at("kept").textContent = known.length ? percent(known.reduce((sum, share) => sum + share, 0) / known.length) : "–";
    this.frames = 0;
    this.sampledAt = now;
  }
}
