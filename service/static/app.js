// The page: polls the list of streams, shows their grid or the one watched, adds, edits and removes.

import { addStream, listStreams, removeStream, startingWith } from "./api.js";
import { Controls } from "./controls.js";
import { Follower } from "./follow.js";
import { History } from "./history.js";
import { Hint } from "./hint.js";
import { Numbers } from "./numbers.js";
import { Stage } from "./stage.js";
import { State } from "./state.js";
import { StreamForm } from "./stream-form.js";
import { Tiles } from "./tiles.js";
import { people } from "./words.js";
import { Zones } from "./zones.js";

const POLL_MS = 1000;
const DRAWN_SCENE = { url: "synthetic://?people=12&seed=7&fps=15&patient=1", name: "Drawn scene" };

const at = (id) => document.getElementById(id);
const tiles = new Tiles(at("tiles"));
const strip = new Tiles(at("strip"));
const stage = new Stage(at("picture"));
const numbers = new Numbers(at);
const state = new State(at);
const controls = new Controls(at);
const zones = new Zones(at);
const past = new History(at);
const hint = new Hint(at);
const form = new StreamForm(at("stream-dialog"), async ({ id }) => {
  await refresh();
  location.hash = `#/${encodeURIComponent(id)}`;
});
let streams = null; // not known yet
let watched = null; // id
let follower = null;

const current = () => streams?.find(({ id }) => id === watched);

function watch(id) {
  if (id === watched) return;
  follower?.close();
  watched = id;
  for (const part of [stage, numbers]) part.clear();
  for (const part of [zones, controls, past]) part.forget();
  at("kind").hidden = true;
  follower = id === null ? null : new Follower(id, { onMessage, onPicture: (picture, message) => stage.draw(picture, message) });
}

function onMessage(message) {
  stage.remember(message);
  numbers.add(message);
  controls.echo(message);
  zones.hint(message);
  past.hint(message);
  at("kind").hidden = false;
  at("kind").className = `badge ${message.kind}`;
  at("kind-text").textContent = message.kind;
}

// The address says what is shown: nothing, or the id of a stream after '#/'.
function route() {
  const wanted = streams.find(({ id }) => location.hash === `#/${encodeURIComponent(id)}`);
  if (!wanted && location.hash.length > 2) history.replaceState(null, "", "#/");
  watch(wanted?.id ?? null);
  show();
}

// A degraded stream is tracked, so it counts people and frames, but it does not run as it should.
function totals(all) {
  const [running, degraded] = ["running", "degraded"].map((phase) => all.filter((one) => one.state.phase === phase));
  const sum = (key) => [...running, ...degraded].reduce((total, { stats }) => total + stats[key], 0);
  const less = degraded.length ? [`${degraded.length} degraded`] : [];
  const words = [`${running.length} of ${all.length} running`, ...less, people(sum("people"), running.some(({ classes }) => classes)), `${Math.round(sum("fps"))} fps`];
  return all.length ? words.join(" · ") : "";
}

function show() {
  const stream = current();
  at("loading").hidden = true;
  at("empty").hidden = streams.length > 0;
  at("overview").hidden = !streams.length || Boolean(stream);
  at("watch").hidden = !stream;
  at("totals").textContent = totals(streams);
  document.title = stream ? `${stream.name} · AttTrack` : "AttTrack";
  hint.show(streams.length > 0);
  if (stream) showStream(stream);
  else tiles.show(streams);
}

function showStream(stream) {
  at("stream-name").textContent = stream.name;
  at("stream-note").textContent = stream.note;
  at("stream-url").textContent = stream.url;
  if (stream.stats.width) at("watch").style.setProperty("--ratio", stream.stats.width / stream.stats.height);
  state.show(stream);
  numbers.show(stream);
  controls.show(stream);
  zones.watch(stream);
  past.watch(stream);
  showClasses(stream.classes);
  at("others").hidden = at("previous").hidden = at("next").hidden = streams.length < 2;
  strip.show(streams, watched);
}

// A stream that sees people alone says nothing of classes.
function showClasses(classes = []) {
  const choice = at("show-class");
  const known = ["", ...classes];
  if (known.join("\n") !== [...choice.options].map(({ value }) => value).join("\n")) {
    choice.replaceChildren(...known.map((name) => new Option(name || "all classes", name)));
    stage.onlyClass = "";
  }
  choice.hidden = classes.length < 2;
  at("people-title").textContent = classes.length ? "Tracked now" : "People now";
}

async function refresh() {
  try {
    const listed = await listStreams();
    streams = listed.streams;
    at("service-notice").textContent = listed.notice ?? "";
    at("service-problem").textContent = "";
  } catch (problem) {
    at("service-problem").textContent = `${problem.message} Trying again.`;
    return;
  }
  if (!location.hash && streams.length === 1) history.replaceState(null, "", `#/${encodeURIComponent(streams[0].id)}`);
  route();
}

async function showStart() {
  const busy = await startingWith();
  at("starting").textContent = busy && `The service is not ready yet: ${busy}.`;
  if (busy) setTimeout(showStart, POLL_MS);
}

async function poll() {
  try {
    await refresh();
  } finally {
    setTimeout(poll, POLL_MS);
  }
}

at("add").onclick = at("empty-add").onclick = () => form.open();
at("edit").onclick = () => form.open(current());
at("empty-scene").onclick = async () => {
  at("empty-problem").textContent = "";
  try {
    await addStream(DRAWN_SCENE);
    await refresh();
  } catch (problem) {
    at("empty-problem").textContent = problem.message;
  }
};

at("remove").onclick = () => {
  at("remove-name").textContent = current().name;
  at("remove-problem").textContent = "";
  at("remove-dialog").showModal();
};
at("remove-dialog").querySelector("form").onsubmit = async (event) => {
  if (event.submitter.value !== "yes") return;
  event.preventDefault();
  try {
    await removeStream(watched);
  } catch ({ code, message }) {
    if (code !== "stream_not_found") {
      at("remove-problem").textContent = message;
      return;
    }
  }
  at("remove-dialog").close();
  await refresh();
  at("main").focus();
};

function toggle(button, property) {
  stage[property] = !stage[property];
  button.setAttribute("aria-pressed", String(stage[property]));
}
at("show-trails").onclick = () => toggle(at("show-trails"), "showTrails");
at("show-labels").onclick = () => toggle(at("show-labels"), "showLabels");
at("show-class").onchange = ({ target }) => (stage.onlyClass = target.value);

function step(by) {
  if (!streams?.length || watched === null) return;
  const next = (streams.findIndex(({ id }) => id === watched) + by + streams.length) % streams.length;
  location.hash = `#/${encodeURIComponent(streams[next].id)}`;
}
at("previous").onclick = () => step(-1);
at("next").onclick = () => step(1);

at("skip").onclick = (event) => {
  event.preventDefault();
  at("main").focus();
};

const KEYS = {
  a: () => form.open(),
  t: () => watched && at("show-trails").click(),
  i: () => watched && at("show-labels").click(),
  ArrowRight: () => step(1),
  ArrowLeft: () => step(-1),
  Escape: () => zones.leaveEditor() || (watched && (location.hash = "#/")),
};

document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, form") || document.querySelector("dialog[open]");
  if (event.ctrlKey || event.metaKey || event.altKey || typing || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

window.addEventListener("hashchange", () => {
  if (!streams) return;
  route();
  const { activeElement, body } = document; // what had the focus may have gone with its view
  if (activeElement !== body && activeElement.checkVisibility()) return;
  at(watched === null ? "overview-title" : "stream-name").focus();
});
showStart();
poll();
