// The timeline of the stream watched: people, who looked, and what happened in its zones, with a picture of each.

import { getTimeline, save, streamPath } from "./api.js";
import { HistoryChart } from "./history-chart.js";
import { Stills } from "./stills.js";
import { eventWords } from "./words.js";

const EVERY_MS = 10_000;
const SOON_MS = 2500; // after something happened: the service writes once a second
const LISTED = 60;
const SHORT_S = 900;

export class History {
  constructor(at) {
    this.at = at;
    this.list = at("events");
    this.span = at("history-span");
    this.problem = at("history-problem");
    this.chart = new HistoryChart(at("history-chart"), at("history-readout"));
    this.stills = new Stills(at);
    this.span.onchange = () => {
      this.chosen = true;
      this.refresh();
    };
    at("export-events").onclick = () => this.export("events");
    at("export-counts").onclick = () => this.export("counts");
    this.forget();
    setInterval(() => document.hidden || this.refresh(), EVERY_MS);
  }

  forget() {
    clearTimeout(this.soon);
    this.soon = null;
    this.stream = null;
    this.rows = new Map();
    this.list.replaceChildren();
    this.problem.textContent = "";
    this.at("events-none").hidden = false;
    this.stills.forget();
    this.chart.show(null);
  }

  watch(stream) {
    const isNew = this.stream?.id !== stream.id;
    this.stream = stream;
    if (!isNew) return;
    const youngS = Date.now() / 1000 - stream.created_at;
    if (!this.chosen) this.span.value = youngS < SHORT_S ? SHORT_S : 3600; // most of an hour would be empty
    this.refresh();
  }

  // Something happened: it is in the service's timeline in a moment.
  hint({ events }) {
    if (this.soon || !events?.some(({ zone }) => zone)) return;
    this.soon = setTimeout(() => {
      this.soon = null;
      this.refresh();
    }, SOON_MS);
  }

  async refresh() {
    if (!this.stream) return;
    const { id } = this.stream;
    const to = Date.now() / 1000;
    try {
      const timeline = await getTimeline(id, to - Number(this.span.value), to);
      if (this.stream?.id !== id) return;
      this.problem.textContent = "";
      this.chart.show(timeline);
      this.tell(timeline.events.slice(0, LISTED));
    } catch (problem) {
      if (this.stream?.id === id) this.problem.textContent = problem.message;
    }
  }

  tell(events) {
    const rows = new Map();
    for (const event of events) {
      const key = `${event.at} ${event.type} ${event.zone} ${event.person} ${event.still}`;
      rows.set(key, this.rows.get(key) ?? this.row(event));
    }
    const same = rows.size === this.rows.size && [...rows.keys()].every((key) => this.rows.has(key));
    this.rows = rows;
    this.at("events-none").hidden = events.length > 0;
    if (!same) this.list.replaceChildren(...rows.values());
    this.stills.know(this.stream, events);
  }

  row(event) {
    const item = document.createElement("li");
    item.innerHTML = `<span class="event-still"></span><time></time><span class="what"></span>`;
    item.querySelector("time").textContent = new Date(event.at * 1000).toLocaleTimeString();
    item.querySelector("time").dateTime = new Date(event.at * 1000).toISOString();
    item.querySelector(".what").textContent = eventWords(event);
    if (event.still) item.querySelector(".event-still").append(this.stills.thumbnail(this.stream.id, event));
    else item.classList.add("plain");
    return item;
  }

  async export(what) {
    const to = Date.now() / 1000;
    const query = `from=${to - Number(this.span.value)}&to=${to}`;
    try {
      await save(`${streamPath(this.stream.id)}/timeline/${what}.csv?${query}`);
      this.problem.textContent = "";
    } catch (problem) {
      this.problem.textContent = problem.message;
    }
  }
}
