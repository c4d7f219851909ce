// Zones of the stream watched: the list with live counts, the drawing over the picture, and the editor.

import { getCounts, putZones, resetCounts } from "./api.js";
import { duration } from "./words.js";
import { ZoneEditor } from "./zone-editor.js";
import { ZoneLayer } from "./zone-layer.js";

const COUNT_EVERY_MS = 1000;

export class Zones {
  constructor(at) {
    this.at = at;
    this.list = at("zone-list");
    this.layer = new ZoneLayer(at("zone-layer"), {
      onPoint: (point) => this.editor.addPoint(point),
      onMove: (index, point) => this.editor.movePoint(index, point),
    });
    this.editor = new ZoneEditor(at, this.layer, {
      onSave: (zone) => this.put([...this.zones.filter(({ id }) => id !== zone.id), zone]),
      onDelete: (gone) => this.put(this.zones.filter(({ id }) => id !== gone)),
    });
    at("draw-area").onclick = () => this.draw("polygon", "Area");
    at("draw-line").onclick = () => this.draw("line", "Line");
    at("counts-reset").onclick = () => this.reset();
    this.forget();
    setInterval(() => document.hidden || this.count(), COUNT_EVERY_MS);
  }

  forget() {
    this.editor.close();
    this.stream = null;
    this.zones = [];
    this.counts = [];
    this.shown = "";
    this.show();
  }

  // Whether there was one to leave.
  leaveEditor() {
    return this.editor.close();
  }

  watch(stream) {
    this.stream = stream;
    if (JSON.stringify(stream.zones) === JSON.stringify(this.zones)) return;
    this.zones = stream.zones;
    this.count();
    this.show();
  }

  // Something happened in a zone: do not wait for the next round.
  hint({ events }) {
    if (events?.some(({ zone }) => zone)) this.count();
  }

  async count() {
    if (!this.stream || !this.zones.length || this.counting) return;
    this.counting = true;
    const { id } = this.stream;
    const counts = await getCounts(id).catch(() => null);
    this.counting = false;
    if (!counts || this.stream?.id !== id) return;
    this.counts = counts;
    this.show();
  }

  async put(zones) {
    const { zones: kept } = await putZones(this.stream.id, zones);
    this.zones = kept;
    await this.count();
    this.show();
  }

  async reset() {
    const problem = this.at("reset-problem");
    try {
      await resetCounts(this.stream.id);
      problem.textContent = "";
      this.at("spoken").textContent = "Counts start again from zero.";
    } catch ({ message }) {
      problem.textContent = message;
    }
    await this.count();
  }

  draw(type, name) {
    let number = 1;
    const taken = (id) => this.zones.some((zone) => zone.id === id);
    while (taken(`${name.toLowerCase()}-${number}`)) number++;
    const zone = { id: `${name.toLowerCase()}-${number}`, name: `${name} ${number}`, type, anchor: "foot", points: [] };
    this.editor.open(zone, true, this.stream.classes);
  }

  show() {
    this.layer.show(this.zones, this.counts);
    this.at("zone-none").hidden = this.zones.length > 0;
    this.at("counts-reset").hidden = !this.zones.length;
    const ids = this.zones.map(({ id }) => id).join(" ");
    if (ids !== this.shown) this.list.replaceChildren(...this.zones.map((zone) => this.item(zone.id)));
    this.shown = ids;
    this.zones.forEach((zone, index) => {
      const item = this.list.children[index];
      item.querySelector("b").textContent = zone.name || zone.id;
      item.querySelector(".zone-classes").textContent = zone.classes?.join(", ") ?? "";
      item.querySelector("button").setAttribute("aria-label", `Edit ${zone.name || zone.id}`);
      item.querySelector(".zone-kind").textContent = zone.type === "line" ? "╱" : "▱";
      const count = this.counts.find(({ id }) => id === zone.id);
      item.querySelector(".zone-numbers").replaceChildren(...(count ? facts(count) : []));
    });
  }

  item(id) {
    const item = document.createElement("li");
    item.innerHTML = `<span class="zone-kind" aria-hidden="true"></span><b></b><button class="small">Edit</button>
      <small class="zone-classes"></small><dl class="zone-numbers"></dl>`;
    item.querySelector("button").onclick = () =>
      this.editor.open(this.zones.find((zone) => zone.id === id), false, this.stream.classes);
    return item;
  }
}

function facts(count) {
  const rows =
    count.type === "line"
      ? [["forward ↗", count.forward], ["backward ↙", count.backward]]
      : [["inside", count.occupancy], ["came", count.enters], ["left", count.leaves], ["stay", duration(count.dwell.mean_s)]];
  return rows.map(([term, value]) => {
    const row = document.createElement("div");
    for (const [tag, textContent] of [["dt", term], ["dd", value]]) {
      row.append(Object.assign(document.createElement(tag), { textContent }));
    }
    return row;
  });
}
