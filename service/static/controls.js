// How the stream watched runs: each control PATCHes it, and the page shows what is in force by what its messages say.

import { changeStream } from "./api.js";
import { NewestWins } from "./newest-wins.js";
import { MODES } from "./words.js";

const NO_PERIOD = { teacher: "has no effect: the teacher sees every frame", student: "has no effect: no teacher here" };

const often = (frames) => (frames === 1 ? "every frame" : `every ${frames} frames`);

export class Controls {
  constructor(at) {
    this.slider = at("k");
    this.asked = at("k-asked");
    this.student = at("student");
    this.studentAsked = at("student-asked");
    this.studentPart = at("student-part");
    this.stills = at("stills");
    this.mode = at("mode");
    this.inForce = at("in-force");
    this.problem = at("controls-problem");
    this.changes = null; // of the stream watched
    this.mode.replaceChildren(...Object.entries(MODES).map(([value, text]) => new Option(text, value)));
    this.slider.oninput = () => this.say();
    this.slider.onchange = () => this.change({ k: Number(this.slider.value) });
    this.student.oninput = () => this.say();
    this.student.onchange = () => this.change({ student_every: Number(this.student.value) });
    this.stills.onchange = () => this.change({ stills_days: Number(this.stills.value) });
    this.mode.onchange = () => this.change({ mode: this.mode.value });
  }

  show(stream) {
    if (this.stream?.id !== stream.id) {
      this.changes = new NewestWins((patch) => changeStream(stream.id, patch));
    }
    this.stream = stream;
    if (this.changes.busy) return;
    this.put(stream, document.activeElement);
    this.say();
  }

  // Shows what the stream says of itself, but for the control that is being used.
  put(stream, used = null) {
    this.studentPart.hidden = stream.student_every === undefined;
    for (const [slider, value] of [[this.slider, stream.k], [this.student, stream.student_every ?? 1]]) {
      if (slider === used) continue;
      slider.max = Math.max(30, value);
      slider.value = value;
    }
    for (const [select, value] of [[this.mode, stream.mode], [this.stills, stream.stills_days]]) {
      if (select === used) continue;
      const known = [...select.options].some((option) => option.value === String(value));
      if (!known) select.add(new Option(select === this.stills ? `${value} days` : value, value));
      select.value = value;
    }
  }

  say() {
    const [k, every] = [Number(this.slider.value), Number(this.student.value)];
    this.asked.textContent = NO_PERIOD[this.mode.value] ?? often(k);
    this.slider.setAttribute("aria-valuetext", often(k));
    const student = every >= k && k > 1 ? "never: boxes are predicted" : often(every);
    this.studentAsked.textContent = this.mode.value === "teacher" ? "has no effect: no student here" : student;
    this.student.setAttribute("aria-valuetext", student);
  }

  // What the newest message says; the service applies a change at the next keyframe.
  echo({ k, mode }) {
    const text = `In force: ${often(k)}, ${MODES[mode] ?? mode}`;
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
      this.put(this.stream);
    }
    this.say();
  }
}
