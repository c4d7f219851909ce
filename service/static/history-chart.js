// Draws a timeline: people as steps (mean filled, most as a line), a row of marks for each zone, and who looked.

import { prepare, themed } from "./theme.js";
import { eventWords } from "./words.js";

const PEOPLE = 96; // heights in CSS pixels
const ROW = 17;
const LOOKS = 12;
const AXIS = 18;
const GAP = 6;
const KINDS = ["teacher", "student", "predicted"];
const MOST_ROWS = 6;

export class HistoryChart {
  constructor(canvas, readout) {
    this.canvas = canvas;
    this.readout = readout;
    this.timeline = null;
    new ResizeObserver(() => this.draw()).observe(canvas);
    matchMedia("(prefers-color-scheme: light)").addEventListener("change", () => this.draw());
    canvas.onpointermove = canvas.onpointerdown = (event) => this.point(event);
    canvas.onpointerleave = () => (this.readout.hidden = true);
  }

  // null: nothing is known yet.
  show(timeline) {
    this.timeline = timeline;
    this.readout.hidden = true;
    const zones = new Map();
    for (const { zone, zone_name: name } of timeline?.events ?? []) if (zone && !zones.has(zone)) zones.set(zone, name || zone);
    this.zones = [...zones].slice(0, MOST_ROWS);
    this.canvas.style.height = `${PEOPLE + GAP + this.zones.length * ROW + LOOKS + AXIS}px`;
    this.canvas.setAttribute("aria-label", this.inWords());
    this.draw();
  }

  inWords() {
    const { counts = [], events = [] } = this.timeline ?? {};
    if (!counts.length) return "People over time: no numbers yet";
    const frames = counts.reduce((sum, one) => sum + one.frames, 0);
    const mean = counts.reduce((sum, one) => sum + one.people_mean * one.frames, 0) / frames;
    const most = Math.max(...counts.map((one) => one.people_most));
    const share = (kind) => Math.round((100 * counts.reduce((sum, one) => sum + one[kind], 0)) / frames);
    return (
      `People over time: ${mean.toFixed(1)} on average, ${most} at most, ${events.length} events; ` +
      `the teacher saw ${share("teacher")} %, the student ${share("student")} % of the frames, ` +
      `${share("predicted")} % were predicted`
    );
  }

  draw() {
    const { width, height, pixel } = prepare(this.canvas);
    const context = this.canvas.getContext("2d");
    this.left = 30 * pixel;
    this.right = width - pixel;
    if (!this.timeline || width < 50) return;
    const { counts, events } = this.timeline;
    context.font = `${11 * pixel}px system-ui, sans-serif`;
    context.textBaseline = "middle";
    this.drawPeople(context, counts, pixel);
    this.drawEvents(context, events, (PEOPLE + GAP) * pixel, pixel);
    this.drawLooks(context, counts, (PEOPLE + GAP + this.zones.length * ROW) * pixel, pixel);
    this.drawAxis(context, height - (AXIS / 2) * pixel, pixel);
  }

  x(time) {
    const { from, to } = this.timeline;
    return this.left + ((time - from) / (to - from)) * (this.right - this.left);
  }

  drawPeople(context, counts, pixel) {
    const [top, bottom] = [8 * pixel, PEOPLE * pixel];
    const most = Math.max(2, ...counts.map((one) => one.people_most));
    const y = (people) => bottom - (people / most) * (bottom - top);
    const ticks = most % 2 ? [0, most] : [0, most / 2, most];
    context.lineWidth = pixel;
    context.strokeStyle = themed("line");
    context.fillStyle = themed("dim");
    context.textAlign = "right";
    for (const tick of ticks) {
      context.fillText(tick, this.left - 6 * pixel, y(tick));
      context.strokeRect(this.left, Math.round(y(tick)) + pixel / 2, this.right - this.left, 0);
    }
    context.fillStyle = themed("accent");
    context.strokeStyle = themed("accent");
    for (const run of this.runs(counts)) {
      this.steps(context, run, (one) => y(one.people_mean));
      context.lineWidth = 1.75 * pixel;
      context.stroke();
      context.lineTo(this.end(run.at(-1)), bottom);
      context.lineTo(this.begin(run[0]), bottom);
      context.globalAlpha = 0.2;
      context.fill();
      context.globalAlpha = 0.6;
      context.lineWidth = pixel;
      context.setLineDash([3 * pixel, 2 * pixel]);
      this.steps(context, run, (one) => y(one.people_most));
      context.stroke();
      context.setLineDash([]);
      context.globalAlpha = 1;
    }
  }

  drawEvents(context, events, top, pixel) {
    context.textAlign = "left";
    this.zones.forEach(([zone, name], row) => {
      const middle = top + (row + 0.5) * ROW * pixel;
      context.strokeStyle = themed("line");
      context.lineWidth = pixel;
      context.strokeRect(this.left, Math.round(middle) + pixel / 2, this.right - this.left, 0);
      for (const event of events) if (event.zone === zone) this.mark(context, event, middle, pixel);
      const wide = context.measureText(name).width + 8 * pixel;
      context.globalAlpha = 0.85;
      context.fillStyle = themed("panel");
      context.fillRect(this.left, middle - 7 * pixel, wide, 14 * pixel);
      context.globalAlpha = 1;
      context.fillStyle = themed("dim");
      context.fillText(name, this.left + 4 * pixel, middle);
    });
  }

  // Up: came in or crossed forward; down: left or crossed backward.
  mark(context, { at, type, direction }, middle, pixel) {
    const up = type === "enter" || direction === "forward" ? -1 : 1;
    const x = this.x(at);
    context.fillStyle = themed("zone");
    context.globalAlpha = up < 0 ? 1 : 0.55;
    context.beginPath();
    context.moveTo(x - 3 * pixel, middle);
    context.lineTo(x + 3 * pixel, middle);
    context.lineTo(x, middle + up * 7 * pixel);
    context.fill();
    context.globalAlpha = 1;
  }

  drawLooks(context, counts, top, pixel) {
    for (const one of counts) {
      let [x, wide] = [this.begin(one), this.end(one) - this.begin(one)];
      let y = top + LOOKS * pixel;
      for (const kind of KINDS) {
        const high = (one[kind] / one.frames) * LOOKS * pixel;
        context.fillStyle = themed(kind);
        context.fillRect(x, y - high, wide, high);
        y -= high;
      }
    }
  }

  drawAxis(context, middle, pixel) {
    const { from, to } = this.timeline;
    const most = Math.max(2, Math.floor((this.right - this.left) / (90 * pixel)));
    const step = STEPS_S.find((seconds) => (to - from) / seconds <= most) ?? STEPS_S.at(-1);
    const zone = new Date(to * 1000).getTimezoneOffset() * 60;
    context.fillStyle = themed("dim");
    context.textAlign = "center";
    for (let time = Math.ceil((from - zone) / step) * step + zone; time < to; time += step) {
      const [x, text] = [this.x(time), clock(time, step)];
      const half = context.measureText(text).width / 2;
      if (x - half < this.left || x + half > this.right) continue;
      context.fillText(text, x, middle);
    }
  }

  begin = ({ at }) => Math.max(this.left, this.x(at));
  end = ({ at }) => Math.min(this.right, this.x(at + this.timeline.step));

  steps(context, run, y) {
    context.beginPath();
    for (const one of run) {
      context.lineTo(this.begin(one), y(one));
      context.lineTo(this.end(one), y(one));
    }
  }

  // Stretches without a hole.
  *runs(counts) {
    let run = [];
    for (const one of counts) {
      if (run.length && one.at > run.at(-1).at + 1.5 * this.timeline.step) {
        yield run;
        run = [];
      }
      run.push(one);
    }
    if (run.length) yield run;
  }

  // What there was under the pointer, in words.
  point({ clientX }) {
    if (!this.timeline) return;
    const box = this.canvas.getBoundingClientRect();
    const pixel = this.canvas.width / box.width;
    const { from, to, step, counts, events } = this.timeline;
    const time = from + (((clientX - box.left) * pixel - this.left) / (this.right - this.left)) * (to - from);
    const one = counts.find(({ at }) => at <= time && time < at + step);
    const near = ((to - from) / (this.right - this.left)) * 5 * pixel;
    const event = events.find(({ at, zone }) => zone && Math.abs(at - time) < near);
    const words = [clock(time, 1)];
    if (one) words.push(`${one.people_mean.toFixed(1)} people, at most ${one.people_most}`);
    if (event) words.push(eventWords(event));
    this.readout.hidden = time < from || time > to;
    this.readout.textContent = words.join(" · ");
    const x = Math.min(Math.max(clientX - box.left, this.readout.offsetWidth / 2), box.width - this.readout.offsetWidth / 2);
    this.readout.style.left = `${x}px`;
  }
}

const STEPS_S = [60, 120, 300, 600, 900, 1800, 3600, 7200, 14_400, 21_600, 43_200, 86_400, 172_800];

function clock(time, step) {
  const at = new Date(time * 1000);
  if (step >= 86_400) return at.toLocaleDateString([], { weekday: "short", day: "numeric" });
  return at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: step < 60 ? "2-digit" : undefined });
}
