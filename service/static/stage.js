// Draws a picture with the boxes, ids and trails of the very same frame, sharp on every screen.

import { prepare } from "./theme.js";
import { Trails } from "./trails.js";

// The colours of the service's own annotated pictures (Okabe and Ito's), told apart with any kind of colour vision.
const HUES = [[230, 159, 0], [86, 180, 233], [0, 158, 115], [240, 228, 66], [0, 114, 178], [213, 94, 0], [204, 121, 167]];
const PALETTE = [...HUES, ...HUES.map((hue) => hue.map((part) => part + Math.floor((255 - part) / 2)))];

export const colour = (id, alpha = 1) => `rgb(${PALETTE[id % PALETTE.length].join(" ")} / ${alpha})`;

// Who saw a box, told by its line: the legend on the page has the same three.
const LINES = {
  teacher: { wide: 3.5, dash: [], filled: 0.14, opacity: 1 },
  student: { wide: 2, dash: [], filled: 0.05, opacity: 1 },
  predicted: { wide: 2, dash: [5, 4], filled: 0, opacity: 0.65 },
};
const HALO = "rgb(8 11 16 / 0.8)"; // a dark edge around each line, so that it shows on any ground
const HALO_WIDE = 1.25; // CSS pixels on either side

export class Stage {
  constructor(canvas) {
    this.canvas = canvas;
    this.context = canvas.getContext("2d");
    this.showTrails = true;
    this.showLabels = true;
    this.onlyClass = ""; // "": all
    this.clear();
  }

  clear() {
    this.trails = new Trails();
    prepare(this.canvas);
  }

  remember(message) {
    this.trails.add(message);
  }

  draw(picture, message) {
    const { context } = this;
    const { width, height, pixel } = prepare(this.canvas);
    const scale = Math.min(width / picture.width, height / picture.height);
    const [w, h] = [picture.width * scale, picture.height * scale];
    const [left, top] = [(width - w) / 2, (height - h) / 2];
    context.imageSmoothingQuality = "medium";
    context.drawImage(picture, left, top, w, h);
    if (!message) return;
    const place = (x, y) => [left + (x / message.width) * w, top + (y / message.height) * h];
    context.save();
    context.beginPath();
    context.rect(left, top, w, h);
    context.clip();
    const tracks = message.tracks.filter((track) => !this.onlyClass || track.class === this.onlyClass);
    if (this.showTrails) for (const track of tracks) this.drawTrail(message, track, place, pixel);
    for (const track of tracks) this.drawBox(track, place, pixel);
    if (this.showLabels) for (const track of tracks) this.drawLabel(track, place, pixel);
    context.restore();
  }

  drawTrail(message, { id }, place, pixel) {
    const { context } = this;
    const points = this.trails.upTo(message, id);
    context.lineCap = "butt";
    for (const [ink, wide, strength] of [["8 11 16", 4.5, 0.5], [null, 2.5, 0.9]]) {
      for (let i = 1; i < points.length; i++) {
        const alpha = strength * points[i].fresh;
        context.beginPath();
        context.moveTo(...place(points[i - 1].x, points[i - 1].y));
        context.lineTo(...place(points[i].x, points[i].y));
        this.stroke(ink ? `rgb(${ink} / ${alpha})` : colour(id, alpha), wide * pixel);
      }
    }
  }

  drawBox({ id, bbox, origin }, place, pixel) {
    const { context } = this;
    const [x1, y1] = place(bbox[0], bbox[1]);
    const [x2, y2] = place(bbox[2], bbox[3]);
    const { wide, dash, filled, opacity } = LINES[origin];
    context.globalAlpha = opacity;
    context.setLineDash(dash.map((length) => length * pixel));
    context.beginPath();
    context.roundRect(x1, y1, x2 - x1, y2 - y1, 4 * pixel);
    context.fillStyle = colour(id, filled);
    context.fill();
    this.stroke(HALO, (wide + 2 * HALO_WIDE) * pixel);
    this.stroke(colour(id), wide * pixel);
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  stroke(style, width) {
    Object.assign(this.context, { strokeStyle: style, lineWidth: width }).stroke();
  }

  drawLabel({ id, bbox, class: kind }, place, pixel) {
    const { context } = this;
    const label = kind === "person" ? String(id) : `${id} ${kind}`;
    const [x, y] = place(bbox[0], bbox[1]);
    const size = 11.5 * pixel;
    context.font = `600 ${size}px system-ui, sans-serif`;
    const width = context.measureText(label).width + 9 * pixel;
    const height = size + 5 * pixel;
    const top = Math.max(0, y - height - 2 * pixel);
    context.fillStyle = colour(id);
    context.beginPath();
    context.roundRect(x, top, width, height, 4 * pixel);
    context.fill();
    context.fillStyle = "#0a0d12";
    context.textBaseline = "middle";
    context.fillText(label, x + 4.5 * pixel, top + height / 2 + 0.5 * pixel);
  }
}
