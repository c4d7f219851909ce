// How the stream watched runs: each control PATCHes it, and the page shows what is in force by what its messages say.

import { changeStream, chooseStudent } from "./api.js";
import { NewestWins } from "./newest-wins.js";
import { MODES, adaptationWords } from "./words.js";

const NO_PERIOD = { teacher: "has no effect: the teacher sees every frame", student: "has no effect: no teacher here" };

const often = (frames) => (frames === 1 ? "every frame" : `every ${frames} frames`);

const qualityWords = (quality) => {
  const word = quality >= 1 ? "teacher always" : quality >= 0.75 ? "best" : quality >= 0.4 ? "balanced" : quality > 0 ? "thrifty" : "least";
  return `${Math.round(100 * quality)} %, ${word}`;
};

export class Controls {
  constructor(at) {
    this.slider = at("k");
    this.asked = at("k-asked");
    this.student = at("student");
    this.studentAsked = at("student-asked");
    this.studentPart = at("student-part");
    this.schedule = at("schedule");
    this.schedulePart = at("schedule-part");
    this.quality = at("quality");
    this.qualityAsked = at("quality-asked");
    this.qualityPart = at("quality-part");
    this.periodPart = at("period-part");
    this.stills = at("stills");
    this.mode = at("mode");
    this.adapt = at("adapt");
    this.adaptPart = at("adapt-part");
    this.adaptation = at("adaptation");
    this.back = at("adapt-back");
    this.inForce = at("in-force");
    this.problem = at("controls-problem");
    this.changes = null; // of the stream watched
    this.mode.replaceChildren(...Object.entries(MODES).map(([value, text]) => new Option(text, value)));
    this.slider.oninput = () => this.say();
    this.slider.onchange = () => this.change({ k: Number(this.slider.value) });
    this.schedule.onchange = () => {
      this.change({ schedule: this.schedule.value });
      this.say();
    };
    this.quality.oninput = () => this.say();
    this.quality.onchange = () => this.change({ quality: Number(this.quality.value) });
    this.student.oninput = () => this.say();
    this.student.onchange = () => this.change({ student_every: Number(this.student.value) });
    this.stills.onchange = () => this.change({ stills_days: Number(this.stills.value) });
    this.adapt.onchange = () => this.change({ adapt: this.adapt.checked });
    this.back.onclick = () => this.goBack();
    this.mode.onchange = () => this.change({ mode: this.mode.value });
  }

  show(stream) {
    if (this.stream?.id !== stream.id) {
      this.changes = new NewestWins((patch) => changeStream(stream.id, patch));
    }
    this.stream = stream;
    this.showAdaptation(stream);
    if (this.changes.busy) return;
    this.put(stream, document.activeElement);
    this.say();
  }

  // Shows what the stream says of itself, but for the control that is being used.
  put(stream, used = null) {
    this.studentPart.hidden = stream.student_every === undefined; // of a service that does not know it
    this.schedulePart.hidden = stream.schedule === undefined;
    this.adapt.checked = Boolean(stream.adapt);
    if (this.quality !== used) this.quality.value = stream.quality ?? 0.6;
    for (const [slider, value] of [[this.slider, stream.k], [this.student, stream.student_every ?? 1]]) {
      if (slider === used) continue;
      slider.max = Math.max(30, value);
      slider.value = value;
    }
    for (const [select, value] of [[this.mode, stream.mode], [this.schedule, stream.schedule ?? "fixed"], [this.stills, stream.stills_days]]) {
      if (select === used) continue;
      const known = [...select.options].some((option) => option.value === String(value));
      if (!known) select.add(new Option(select === this.stills ? `${value} days` : value, value));
      select.value = value;
    }
  }

  showAdaptation({ adapt, adaptation }) {
    this.adaptPart.hidden = adapt === undefined; // of a service that does not know it
    const words = adaptation ? adaptationWords(adaptation) : "";
    if (this.adaptation.textContent !== words) this.adaptation.textContent = words;
    this.back.hidden = (adaptation?.before ?? null) === null;
  }

  async goBack() {
    const { stream } = this;
    this.problem.textContent = "";
    try {
      await chooseStudent(stream.id, "before");
    } catch (problem) {
      if (stream.id === this.stream.id) this.problem.textContent = problem.message;
    }
  }

  say() {
    const adaptive = this.schedule.value === "adaptive";
    this.periodPart.hidden = adaptive;
    this.qualityPart.hidden = !adaptive;
    const quality = Number(this.quality.value);
    this.qualityAsked.textContent = qualityWords(quality);
    this.quality.setAttribute("aria-valuetext", qualityWords(quality));
    const [k, every] = [Number(this.slider.value), Number(this.student.value)];
    this.asked.textContent = NO_PERIOD[this.mode.value] ?? often(k);
    this.slider.setAttribute("aria-valuetext", often(k));
    const student = every >= k && k > 1 ? "never: boxes are predicted" : often(every);
    this.studentAsked.textContent = this.mode.value === "teacher" ? "has no effect: no student here" : student;
    this.student.setAttribute("aria-valuetext", student);
  }

  // What the newest message says; the service applies a change at the next keyframe.
  echo({ k, mode, schedule, quality }) {
    const rhythm = schedule === "adaptive" ? `by need, quality ${Math.round(100 * quality)} %` : often(k);
    const text = `In force: ${rhythm}, ${MODES[mode] ?? mode}`;
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
