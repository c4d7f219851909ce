// The rhythm of teacher and student: one bar per frame, as high as the frame was old when its tracks were ready.

const BAR = 5; // CSS pixels, gap included
const AT_LEAST_MS = 60; // top of the scale while all is quick
const COLOURS = { teacher: "#e69f00", student: "#56b4e9", predicted: "#5f6979" };

export class Rhythm {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.clear();
  }

  clear() {
    this.bars = [];
    this.dirty = true;
    this.context.clearRect(0, 0, this.canvas.width, this.canvas.height);
  }

  add({ kind, ts_capture, ts_out }) {
    this.bars.push({ kind, ms: (ts_out - ts_capture) * 1000 });
    if (this.bars.length > 600) this.bars.splice(0, 200);
    if (this.dirty) return;
    this.dirty = true;
    requestAnimationFrame(() => this.draw());
  }

  draw() {
    const { canvas, context } = this;
    this.dirty = false;
    const pixel = window.devicePixelRatio || 1;
    const width = Math.round(canvas.clientWidth * pixel);
    const height = Math.round(canvas.clientHeight * pixel);
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    context.clearRect(0, 0, width, height);
    const shown = this.bars.slice(-Math.floor(width / pixel / BAR));
    const top = Math.max(AT_LEAST_MS, 1.2 * percentile(shown.map(({ ms }) => ms), 0.95)); // higher bars are cut off
    shown.forEach(({ kind, ms }, index) => {
      const x = width - (shown.length - index) * BAR * pixel;
      const high = Math.min(height, Math.max(2 * pixel, (ms / top) * height));
      context.fillStyle = COLOURS[kind];
      context.beginPath();
      context.roundRect(x, height - high, (BAR - 2) * pixel, high, 1.5 * pixel);
      context.fill();
    });
    context.fillStyle = "#8d97a8";
    context.font = `${11 * pixel}px system-ui, sans-serif`;
    context.textBaseline = "top";
    context.fillText(`${Math.round(top)} ms`, 0, 0);
  }
}

const percentile = (values, share) => values.sort((a, b) => a - b)[Math.floor(share * (values.length - 1))] ?? 0;
