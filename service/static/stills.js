// Pictures of events: thumbnails that load when they come into sight, and the dialog that shows one large.

import { getStill } from "./api.js";
import { eventWords } from "./words.js";

export class Stills {
  constructor(at) {
    this.dialog = at("still-dialog");
    this.title = at("still-title");
    this.image = at("still-image");
    this.older = at("still-older");
    this.newer = at("still-newer");
    this.pictures = new Map(); // still -> address of the picture, or the promise of one
    this.shots = []; // [still, its events]
    this.shown = null;
    this.older.onclick = () => this.step(1);
    this.newer.onclick = () => this.step(-1);
    this.dialog.onkeydown = (event) => {
      const by = { ArrowLeft: 1, ArrowRight: -1 }[event.key];
      if (by) this.step(by);
    };
    this.sight = new IntersectionObserver((entries) => {
      for (const { target, isIntersecting } of entries) if (isIntersecting) target.load();
    });
  }

  forget() {
    this.dialog.close();
    for (const picture of this.pictures.values()) picture.then((href) => href && URL.revokeObjectURL(href));
    this.pictures.clear();
    this.shots = [];
  }

  // Which pictures there are, newest first; one may show several events.
  know(stream, events) {
    this.stream = stream;
    this.shots = [...Map.groupBy(events.filter(({ still }) => still), ({ still }) => still)];
    this.mark();
  }

  thumbnail(streamId, event) {
    const button = document.createElement("button");
    button.setAttribute("aria-label", `Show the picture: ${eventWords(event)}`);
    const image = button.appendChild(Object.assign(document.createElement("img"), { alt: "", hidden: true }));
    button.onclick = () => this.open(event.still);
    button.load = async () => {
      this.sight.unobserve(button);
      const href = await this.picture(streamId, event.still);
      if (href) Object.assign(image, { src: href, hidden: false });
    };
    this.sight.observe(button);
    return button;
  }

  picture(streamId, still) {
    if (!this.pictures.has(still)) {
      const asked = getStill(streamId, still).then((blob) => URL.createObjectURL(blob), () => null); // gone by now
      this.pictures.set(still, asked);
    }
    return this.pictures.get(still);
  }

  async open(still) {
    const [, events] = this.shots.find(([one]) => one === still) ?? [];
    if (!events) return;
    this.shown = still;
    this.image.alt = events.map(eventWords).join(", ");
    this.title.textContent = `${new Date(events[0].at * 1000).toLocaleTimeString()} · ${this.image.alt}`;
    if (!this.dialog.open) this.dialog.showModal();
    this.mark();
    const href = await this.picture(this.stream.id, still);
    if (this.shown !== still) return;
    if (href) this.image.src = href;
    else this.title.textContent = "This picture is not kept any more";
  }

  get index() {
    return this.shots.findIndex(([still]) => still === this.shown);
  }

  step(by) {
    const next = this.shots[this.index + by];
    if (next) this.open(next[0]);
  }

  mark() {
    this.newer.disabled = this.index <= 0;
    this.older.disabled = this.index < 0 || this.index === this.shots.length - 1;
  }
}
