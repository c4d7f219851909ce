// The grid of all streams: one tile each, updated in place so that focus and pictures stay.

import { open, streamPath } from "./api.js";
import { PHASES, causeWords, people } from "./words.js";

const PICTURE_EVERY_MS = 250; // of one stream; n streams take turns

export class Tiles {
  constructor(list) {
    this.list = list;
    this.tiles = new Map();
    this.seen = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) target.onScreen = isIntersecting;
    });
  }

  // `watched`: id of the stream that is shown large, if any.
  show(streams, watched = null) {
    for (const [id, tile] of this.tiles) {
      if (streams.some((stream) => stream.id === id)) continue;
      this.seen.unobserve(tile.item);
      tile.item.remove();
      tile.gone = true;
      this.tiles.delete(id);
    }
    for (const stream of streams) {
      const tile = this.tiles.get(stream.id) ?? this.add(stream.id);
      const { phase } = stream.state;
      tile.stream = stream;
      tile.link.setAttribute("aria-current", String(stream.id === watched));
      tile.name.textContent = stream.name;
      tile.note.textContent = stream.note;
      tile.state.className = `state ${phase}`;
      tile.state.textContent = `${PHASES[phase].glyph} ${PHASES[phase].word}`;
      const numbers = `${people(stream.stats.people, Boolean(stream.classes))} · ${stream.stats.fps.toFixed(0)} fps · K ${stream.k}`;
      tile.numbers.textContent = phase === "running" ? numbers : causeWords(stream.state);
    }
  }

  add(id) {
    const item = document.createElement("li");
    item.innerHTML = `<a class="tile"><span class="thumb"><img alt="" hidden></span><span class="tile-text"><b></b>
      <span class="state"></span><span class="note"></span><span class="numbers"></span></span></a>`;
    const at = (selector) => item.querySelector(selector);
    const texts = { name: at("b"), state: at(".state"), note: at(".note"), numbers: at(".numbers") };
    const tile = { item, link: at("a"), image: at("img"), ...texts, seq: null };
    tile.link.href = `#/${encodeURIComponent(id)}`;
    tile.image.onload = () => URL.revokeObjectURL(tile.image.src);
    this.tiles.set(id, tile);
    this.list.append(item);
    this.seen.observe(item);
    this.keepPicture(tile);
    return tile;
  }

  async keepPicture(tile) {
    while (!tile.gone) {
      if (tile.item.onScreen && tile.stream?.stats.frames && !document.hidden) await this.picture(tile).catch(() => {});
      await new Promise((later) => setTimeout(later, PICTURE_EVERY_MS * Math.max(1, this.tiles.size / 2)));
    }
  }

  async picture(tile) {
    const answer = await open(`${streamPath(tile.stream.id)}/frame.jpg?small=true`);
    const seq = answer.headers.get("X-Seq");
    if (seq === tile.seq) return;
    tile.seq = seq;
    tile.image.src = URL.createObjectURL(await answer.blob());
    tile.image.hidden = false;
  }
}
