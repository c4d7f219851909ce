// How the stream watched runs: each control PATCHes it, and the page shows what is in force by what its messages say.

import { changeStream } from "./api.js";
import { NewestWins } from "./newest-wins.js";
import { MODES } from "./words.js";

const NO_PERIOD = { teacher: "has no effect: the teacher sees every frame", student: "has no effect: no teacher here" };

export class Controls {
  constructor(at) {
    this.slider = at("k");
    this.asked = at("k-asked");
    this.mode = at("mode");
    this.inForce = at("in-force");
    this.problem = at("controls-problem");
    this.changes = null; // of the stream watched
    this.mode.replaceChildren(...Object.entries(MODES).map(([value, text]) => new Option(text, value)));
    this.slider.oninput = () => this.say();
    this.slider.onchange = () => this.change({ k: Number(this.slider.value) });
    this.mode.onchange = () => this.change({ mode: this.mode.value });
  }

  show(stream) {
    if (this.stream?.id !== stream.id) {
      this.changes = new NewestWins((patch) => changeStream(stream.id, patch));
    }
    this.stream = stream;
    if (this.changes.busy) return;
    if (document.activeElement !== this.slider) this.showPeriod(stream.k);
    if (document.activeElement !== this.mode) this.mode.value = stream.mode;
    this.say();
  }

  showPeriod(k) {
    this.slider.max = Math.max(30, k);
    this.slider.value = k;
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
    const { changes } = this;
    this.problem.textContent = "";
    try {
      await changes.send(patch);
    } catch (problem) {
      if (changes !== this.changes) return; // another stream is watched by now
      this.problem.textContent = problem.message;
      this.showPeriod(this.stream.k);
      this.mode.value = this.stream.mode;
    }
    this.say();
  }
}
