// K and mode of the stream watched: changed by PATCH, and shown as they are in force by what its messages say.

import { changeStream } from "./api.js";
import { MODES } from "./words.js";

const NO_PERIOD = { teacher: "has no effect: the teacher sees every frame", student: "has no effect: no teacher here" };

export class Controls {
  constructor(at) {
    this.slider = at("k");
    this.asked = at("k-asked");
    this.mode = at("mode");
    this.inForce = at("in-force");
    this.problem = at("controls-problem");
    this.mode.replaceChildren(...Object.entries(MODES).map(([value, text]) => new Option(text, value)));
    this.slider.oninput = () => this.say();
    this.slider.onchange = () => this.change({ k: Number(this.slider.value) });
    this.mode.onchange = () => this.change({ mode: this.mode.value });
  }

  show(stream) {
    this.stream = stream;
    if (this.changing) return;
    if (document.activeElement !== this.slider) {
      this.slider.max = Math.max(30, stream.k);
      this.slider.value = stream.k;
    }
    if (document.activeElement !== this.mode) this.mode.value = stream.mode;
    this.say();
  }

  say() {
    const k = Number(this.slider.value);
    const often = k === 1 ? "every frame" : `every ${k} frames`;
    this.asked.textContent = NO_PERIOD[this.mode.value] ?? often;
    this.slider.setAttribute("aria-valuetext", often);
  }

  // What the newest message says; the service applies a change at the next keyframe.
  echo({ k, mode }) {
    const text = `In force: ${k === 1 ? "every frame" : `every ${k} frames`}, ${MODES[mode] ?? mode}`;
    if (this.inForce.textContent !== text) this.inForce.textContent = text;
  }

  forget() {
    this.inForce.textContent = "In force: nothing yet";
    this.problem.textContent = "";
  }

  async change(patch) {
    this.changing = true;
    this.problem.textContent = "";
    try {
      await changeStream(this.stream.id, patch);
    } catch (problem) {
      this.problem.textContent = problem.message;
      this.slider.value = this.stream.k;
      this.mode.value = this.stream.mode;
    }
    this.changing = false;
    this.say();
  }
}
