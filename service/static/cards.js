// The list of streams: one card each, updated in place so that focus and thumbnails stay.

import { streamPath } from "./api.js";

const THUMBNAIL_EVERY_MS = 2000;

export const PHASES = {
  connecting: "Connecting",
  running: "Running",
  reconnecting: "Reconnecting",
  failed: "Failed",
  stopped: "Ended",
};

export class Cards {
  constructor(list, onSelect) {
    this.list = list;
    this.onSelect = onSelect;
    this.cards = new Map();
  }

  show(streams, selected) {
    for (const [id, card] of this.cards) {
      if (!streams.some((stream) => stream.id === id)) {
        card.item.remove();
        this.cards.delete(id);
      }
    }
    for (const stream of streams) {
      const card = this.cards.get(stream.id) ?? this.add(stream.id);
      const { phase, cause } = stream.state;
      card.name.textContent = stream.name;
      card.state.className = `state ${phase}`;
      card.state.textContent = PHASES[phase];
      card.numbers.textContent =
        phase === "running" ? `${people(stream.stats.people)} · ${stream.stats.fps.toFixed(1)} fps` : words(cause);
      card.button.setAttribute("aria-current", String(stream.id === selected));
      if (stream.stats.frames && Date.now() - card.pictured > THUMBNAIL_EVERY_MS && !document.hidden) {
        card.pictured = Date.now();
        card.thumb.src = `${streamPath(stream.id)}/frame.jpg?at=${stream.stats.frames}`;
      }
    }
  }

  add(id) {
    const item = document.createElement("li");
    item.innerHTML = `<button class="card"><span class="thumb"><img alt="" hidden></span><div><b></b><span class="state"></span>
      <span class="numbers"></span></div></button>`;
    const at = (selector) => item.querySelector(selector);
    const card = { item, button: at("button"), thumb: at("img"), name: at("b"), state: at(".state"), numbers: at(".numbers"), pictured: 0 };
    card.button.onclick = () => this.onSelect(id);
    card.thumb.onload = () => (card.thumb.hidden = false);
    this.cards.set(id, card);
    this.list.append(item);
    return card;
  }

  focus(id) {
    this.cards.get(id)?.button.focus();
  }
}

const words = (code) => (code ?? "").replaceAll("_", " ");

export const people = (count) => (count === 1 ? "1 person" : `${count} people`);
