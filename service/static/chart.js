// One number over the last minute: a line over its area, with the scale's top in words.

import { prepare, themed } from "./theme.js";

const KEEP = 60; // samples, one a second

export class Chart {
  // what: its name for people; top: the least top of the scale; show: a sample in words.
  constructor(canvas, { what, top, show }) {
    Object.assign(this, { canvas, what, least: top, show });
    this.clear();
  }

  clear() {
    this.samples = [];
    this.draw();
  }

  add(sample) {
    this.samples.push(sample);
    if (this.samples.length > KEEP) this.samples.shift();
    this.draw();
  }

  draw() {
    const known = this.samples.filter((sample) => sample !== null);
    this.canvas.setAttribute("aria-label", this.inWords(known));
    const { width, height, pixel } = prepare(this.canvas);
    const context = this.canvas.getContext("2d");
    const top = Math.max(this.least, ...known);
    const line = 1.75 * pixel;
    const place = (index) => [
      width - (this.samples.length - 1 - index) * (width / (KEEP - 1)) - line,
      height - line - (this.samples[index] / top) * (height - 2 * line),
    ];
    context.strokeStyle = themed("line");
    context.lineWidth = pixel;
    context.strokeRect(0, height - pixel / 2, width, 0);
    context.strokeStyle = context.fillStyle = themed("accent");
    context.lineWidth = line;
    context.lineJoin = "round";
    for (const [from, to] of runs(this.samples)) {
      context.beginPath();
      if (to === from + 1) context.lineTo(place(from)[0] - 2 * line, place(from)[1]); // one sample alone: a dash
      for (let index = from; index < to; index++) context.lineTo(...place(index));
      context.stroke();
      context.lineTo(place(to - 1)[0], height);
      context.lineTo(place(from)[0], height);
      context.globalAlpha = 0.14;
      context.fill();
      context.globalAlpha = 1;
    }
  }

  inWords(known) {
    if (!known.length) return `${this.what}: no numbers yet`;
    const [now, low, high] = [known.at(-1), Math.min(...known), Math.max(...known)].map(this.show);
    return `${this.what} over the last minute: now ${now}, lowest ${low}, highest ${high}`;
  }
}

// [from, to) of each stretch without a hole.
function* runs(samples) {
  let from = 0;
  for (let at = 0; at <= samples.length; at++) {
    if (at < samples.length && samples[at] !== null) continue;
    if (at > from) yield [from, at];
    from = at + 1;
  }
}
