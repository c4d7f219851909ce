// The rhythm of teacher and student: one bar per frame, as high as the frame was old when its tracks were ready. The
// teacher's bars are wider and solid, so that the two differ without their colours.

import { prepare, themed } from "./theme.js";

const BAR = 4; // CSS pixels, gap included
const AT_LEAST_MS = 60; // top of the scale while all is quick

export class Rhythm {
  constructor(canvas) {
    this.canvas = canvas;
    this.clear();
  }

  clear() {
    this.bars = [];
    this.waiting = false;
    prepare(this.canvas);
  }

  add({ kind, ts_capture, ts_out }) {
    this.bars.push({ kind, ms: (ts_out - ts_capture) * 1000 });
    if (this.bars.length > 600) this.bars.splice(0, 200);
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    this.waiting = false;
    const { width, height, pixel } = prepare(this.canvas);
    const context = this.canvas.getContext("2d");
    const shown = this.bars.slice(-Math.floor(width / pixel / BAR));
    const ages = shown.map(({ ms }) => ms).sort((a, b) => a - b);
    const top = Math.max(AT_LEAST_MS, 1.2 * (ages[Math.floor(0.95 * (ages.length - 1))] ?? 0)); // higher bars are cut off
    shown.forEach(({ kind, ms }, index) => {
      const x = width - (shown.length - index) * BAR * pixel;
      const high = Math.min(height, Math.max(2 * pixel, (ms / top) * height));
      const wide = (kind === "teacher" ? BAR - 1 : BAR - 2.5) * pixel;
      context.fillStyle = themed(kind);
      context.fillRect(x, height - high, wide, high);
    });
  }
}
