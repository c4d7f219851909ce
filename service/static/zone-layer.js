// Zones drawn over the picture as SVG, with their counts; corners of the one being edited can be set and dragged.

const SVG = "http://www.w3.org/2000/svg";
const HANDLE = 8;
const ARROW = 22;

export class ZoneLayer {
  // onPoint(point), onMove(index, point): the user sets a corner, or drags one; points are parts of the picture.
  constructor(svg, { onPoint, onMove }) {
    this.svg = svg;
    this.onPoint = onPoint;
    this.onMove = onMove;
    this.zones = [];
    this.counts = new Map();
    this.draft = null;
    new ResizeObserver(() => this.draw()).observe(svg);
    svg.onpointerdown = (event) => this.press(event);
    svg.onpointermove = (event) => {
      if (this.dragged !== undefined) this.onMove(this.dragged, this.point(event));
    };
    svg.onpointerup = svg.onpointercancel = () => (this.dragged = undefined);
  }

  show(zones, counts) {
    this.zones = zones;
    this.counts = new Map(counts.map((count) => [count.id, count]));
    this.draw();
  }

  // Shows `draft` in place of the zone with its id; null: nothing is edited.
  edit(draft) {
    this.draft = draft;
    this.svg.classList.toggle("editing", draft !== null);
    this.draw();
  }

  press(event) {
    if (!this.draft) return;
    event.preventDefault();
    this.svg.setPointerCapture(event.pointerId);
    const handle = event.target.closest("[data-corner]");
    if (handle) this.dragged = Number(handle.dataset.corner);
    else this.dragged = this.onPoint(this.point(event));
  }

  point(event) {
    const { left, top, width, height } = this.svg.getBoundingClientRect();
    const part = (at, size) => Math.round(Math.min(1, Math.max(0, at / size)) * 1000) / 1000;
    return [part(event.clientX - left, width), part(event.clientY - top, height)];
  }

  draw() {
    this.size = [this.svg.clientWidth, this.svg.clientHeight];
    const others = this.zones.filter(({ id }) => id !== this.draft?.id);
    const shapes = others.map((zone) => this.shape(zone, "zone", countWords(zone, this.counts.get(zone.id))));
    if (this.draft) shapes.push(this.shape(this.draft, "zone draft", this.draft.name), this.handles(this.draft));
    this.svg.replaceChildren(...shapes);
  }

  shape(zone, className, text) {
    const group = node("g", { class: className });
    const points = zone.points.map((point) => this.place(point));
    const path = points.map((point) => point.join(",")).join(" ");
    const kind = zone.type === "polygon" && points.length > 2 ? "polygon" : "polyline";
    group.append(node(kind, { points: path, class: "halo" }), node(kind, { points: path, class: "edge" }));
    if (zone.type === "line" && points.length === 2) group.append(...arrow(points));
    if (points.length && text) group.append(...this.label(points, zone.type, text));
    return group;
  }

  label(points, type, text) {
    const middle = (axis) => points.reduce((sum, point) => sum + point[axis], 0) / points.length;
    const top = points.reduce((best, point) => (point[1] < best[1] ? point : best));
    const [x, y] = type === "line" ? [middle(0), middle(1) - 16] : [top[0], top[1] - 12];
    const words = node("text", { y: Math.max(16, Math.min(this.size[1] - 8, y)), class: "zone-text" });
    words.textContent = text;
    const half = text.length * 3.7 + 6;
    words.setAttribute("x", Math.max(half, Math.min(this.size[0] - half, x)));
    return [words];
  }

  handles({ points }) {
    const group = node("g", {});
    points.forEach((point, index) => {
      const [cx, cy] = this.place(point);
      group.append(node("circle", { cx, cy, r: HANDLE, class: "handle", "data-corner": index }));
    });
    return group;
  }

  place([x, y]) {
    return [x * this.size[0], y * this.size[1]];
  }
}

// To the right of the line, seen from its start: the way that counts as forward.
function arrow([[x1, y1], [x2, y2]]) {
  const length = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [rightX, rightY] = [-(y2 - y1) / length, (x2 - x1) / length];
  const [alongX, alongY] = [rightY, -rightX];
  const [x, y] = [(x1 + x2) / 2, (y1 + y2) / 2];
  const [tipX, tipY] = [x + rightX * ARROW, y + rightY * ARROW];
  const wing = (side) => `${tipX - rightX * 8 + side * alongX * 6},${tipY - rightY * 8 + side * alongY * 6}`;
  const points = `${x},${y} ${tipX},${tipY} ${wing(1)} ${tipX},${tipY} ${wing(-1)}`;
  return [node("polyline", { points, class: "halo" }), node("polyline", { points, class: "edge" })];
}

export function countWords(zone, count) {
  const name = zone.name || zone.id;
  if (!count) return name;
  return zone.type === "line" ? `${name}  ↗ ${count.forward}  ↙ ${count.backward}` : `${name}  ${count.occupancy}`;
}

function node(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
