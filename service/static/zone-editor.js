// Edits one zone: by mouse on the picture, or by keyboard in a list of its corners.

const percent = (part) => String(Math.round(part * 1000) / 10);
const START = { polygon: [[0.35, 0.4], [0.65, 0.4], [0.65, 0.8], [0.35, 0.8]], line: [[0.3, 0.6], [0.7, 0.6]] };

export class ZoneEditor {
  // layer: ZoneLayer; onSave(zone), onDelete(id): promises that throw Problem where the service refuses.
  constructor(at, layer, { onSave, onDelete }) {
    this.at = at;
    this.layer = layer;
    this.form = at("zone-form");
    this.corners = at("zone-corners");
    this.draft = null;
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.leave(() => onSave(this.draft));
    };
    at("zone-delete").onclick = () => this.leave(() => onDelete(this.draft.id));
    at("zone-cancel").onclick = () => this.close();
    at("zone-add-corner").onclick = () => this.addCorner();
    at("zone-reverse").onclick = () => this.change({ points: this.draft.points.toReversed() });
    this.form.onkeydown = ({ key }) => {
      if (key === "Escape") this.close();
    };
    this.form.elements.name.oninput = ({ target }) => this.change({ name: target.value });
    this.form.elements.anchor.onchange = ({ target }) => this.change({ anchor: target.value });
  }

  // For a zone that is there, or a new one of `type` without points: the mouse sets them. classes: the stream's, if it
  // tells any.
  open(zone, isNew, classes = []) {
    this.opener = document.activeElement;
    this.draft = structuredClone(zone);
    this.isNew = isNew;
    const line = zone.type === "line";
    this.form.hidden = false;
    this.at("zone-list-part").hidden = true;
    this.at("zone-form-title").textContent = `${isNew ? "New" : "Edit"} ${line ? "line" : "area"}`;
    this.at("zone-hint").textContent = line
      ? "Click its start and its end on the picture, or type them below. The arrow shows which way is forward."
      : "Click its corners on the picture, drag them to move, or type them below.";
    this.at("zone-delete").hidden = isNew;
    this.at("zone-reverse").hidden = !line;
    this.at("zone-problem").textContent = "";
    this.form.elements.name.value = zone.name ?? "";
    this.form.elements.anchor.value = zone.anchor ?? "foot";
    this.showClasses([...new Set([...classes, ...(zone.classes ?? [])])]);
    this.change({});
    this.form.elements.name.focus();
  }

  // One box to tick for each; none ticked means all.
  showClasses(names) {
    const part = this.at("zone-classes");
    part.hidden = !names.length;
    const boxes = names.map((name) => {
      const label = document.createElement("label");
      const box = Object.assign(document.createElement("input"), { type: "checkbox", value: name });
      box.checked = this.draft.classes?.includes(name) ?? false;
      box.onchange = () => {
        const ticked = [...part.querySelectorAll("input:checked")].map(({ value }) => value);
        this.change({ classes: ticked.length ? ticked : undefined });
      };
      label.append(box, ` ${name}`);
      return label;
    });
    part.replaceChildren(part.querySelector("legend"), ...boxes);
  }

  // Returns whether anything was open.
  close() {
    if (!this.draft) return false;
    this.draft = null;
    this.form.hidden = true;
    this.at("zone-list-part").hidden = false;
    this.layer.edit(null);
    (this.opener?.isConnected ? this.opener : this.at("draw-area")).focus();
    return true;
  }

  async leave(work) {
    try {
      await work();
      this.close();
    } catch (problem) {
      this.at("zone-problem").textContent = problem.message;
    }
  }

  // A click on the picture: one more corner; returns its number, so that it can be dragged at once.
  addPoint(point) {
    const { points, type } = this.draft;
    if (type === "line" && points.length === 2) points.pop();
    this.change({ points: [...points, point] });
    return this.draft.points.length - 1;
  }

  movePoint(index, point) {
    this.change({ points: this.draft.points.with(index, point) });
  }

  addCorner() {
    const { points, type } = this.draft;
    const [last, first] = [points.at(-1), points[0]];
    const middle = () => [(last[0] + first[0]) / 2, (last[1] + first[1]) / 2];
    this.change({ points: points.length < 3 ? START[type] : [...points, middle()] });
    this.corners.querySelector(points.length < 3 ? "input" : "li:last-child input").focus();
  }

  change(changes) {
    Object.assign(this.draft, changes);
    this.layer.edit(this.draft);
    const { points, type } = this.draft;
    if (this.corners.children.length !== points.length) this.corners.replaceChildren(...points.map((_, i) => this.row(i)));
    points.forEach((point, index) => {
      const inputs = this.corners.children[index].querySelectorAll("input");
      point.forEach((part, axis) => document.activeElement !== inputs[axis] && (inputs[axis].value = percent(part)));
    });
    this.at("zone-add-corner").hidden = type === "line" && points.length === 2;
    this.at("zone-save").disabled = points.length < (type === "line" ? 2 : 3);
    this.at("zone-count").textContent = `${points.length} ${points.length === 1 ? "corner" : "corners"}`;
  }

  row(index) {
    const item = document.createElement("li");
    const what = this.draft.type === "line" ? ["Start", "End"][index] : `Corner ${index + 1}`;
    item.innerHTML = `<span>${what}</span><label>x <input type="number" min="0" max="100" step="0.1" required></label>
      <label>y <input type="number" min="0" max="100" step="0.1" required></label>`;
    item.querySelectorAll("input").forEach((input, axis) => {
      input.setAttribute("aria-label", `${what}, ${["x in percent of the width", "y in percent of the height"][axis]}`);
      input.oninput = () => {
        if (!input.validity.valid) return;
        const point = this.draft.points[index].with(axis, Number(input.value) / 100);
        this.movePoint(index, point);
      };
    });
    if (this.draft.type === "polygon") {
      const remove = document.createElement("button");
      Object.assign(remove, { type: "button", textContent: "✕", className: "small" });
      remove.setAttribute("aria-label", `Remove corner ${index + 1}`);
      remove.onclick = () => {
        this.change({ points: this.draft.points.filter((_, at) => at !== index) });
        this.at("zone-add-corner").focus();
      };
      item.append(remove);
    }
    return item;
  }
}
