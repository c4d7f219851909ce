// The page: polls the list of streams, follows the selected one, adds and removes.

import { addStream, listStreams, removeStream } from "./api.js";
import { Cards, PHASES, people } from "./cards.js";
import { Follower } from "./follow.js";
import { Rhythm } from "./rhythm.js";
import { Stage } from "./stage.js";

const POLL_MS = 1000;
const DRAWN_SCENE = { url: "synthetic://?people=12&seed=7", name: "Drawn scene" };

const $ = (id) => document.getElementById(id);
const stage = new Stage($("picture"));
const rhythm = new Rhythm($("rhythm"));
const cards = new Cards($("cards"), select);
let streams = [];
let selected = null;
let follower = null;

function select(id) {
  if (id === selected) return;
  follower?.close();
  selected = id;
  stage.clear();
  rhythm.clear();
  rhythm.dirty = false;
  $("kind").hidden = true;
  if (id !== null) history.replaceState(null, "", `#${encodeURIComponent(id)}`);
  follower = id === null ? null : new Follower(id, { onMessage, onPicture: (picture, message) => stage.draw(picture, message) });
  show();
}

function onMessage(message) {
  stage.remember(message);
  rhythm.add(message);
  $("people").textContent = message.tracks.length;
  $("kind").hidden = false;
  $("kind").className = `badge ${message.kind}`;
  $("kind").lastElementChild.textContent = message.kind;
}

function show() {
  const current = streams.find((stream) => stream.id === selected);
  $("main").classList.toggle("is-empty", !streams.length);
  $("empty").hidden = streams.length > 0;
  cards.show(streams, selected);
  const running = streams.filter((stream) => stream.state.phase === "running");
  const sum = (key) => running.reduce((total, stream) => total + stream.stats[key], 0);
  $("totals").textContent = streams.length
    ? `${running.length} of ${streams.length} running · ${people(sum("people"))} · ${Math.round(sum("fps"))} fps`
    : "";
  if (current) showCurrent(current);
}

function showCurrent({ name, url, k, state, stats }) {
  document.title = `${name} · AttTrack`;
  $("stage-name").textContent = name;
  $("stage-url").textContent = url;
  if (stats.width) $("main").style.setProperty("--ratio", stats.width / stats.height);
  if (state.phase !== "running") $("people").textContent = "–";
  number("fps", state.phase === "running" ? stats.fps.toFixed(1) : null);
  number("age", stats.frame_age_p50_ms && Math.round(stats.frame_age_p50_ms), `ms, p95 ${Math.round(stats.frame_age_p95_ms)}`);
  number("period", k, k === 1 ? "frame" : "frames");
  number("size", stats.width, `× ${stats.height}`);
  const waiting = state.phase === "connecting" || state.phase === "reconnecting";
  $("notice").hidden = state.phase === "running";
  $("notice").classList.toggle("still", !waiting);
  $("notice").querySelector("h2").textContent = PHASES[state.phase];
  $("notice").querySelector("p").textContent = [state.message, nextRetry(state)].filter(Boolean).join(" · ");
}

function nextRetry({ attempts, next_retry: at }) {
  if (!at) return "";
  const seconds = Math.max(0, Math.ceil(at - Date.now() / 1000));
  return `attempt ${attempts + 1} ${seconds ? `in ${seconds} s` : "now"}`;
}

function number(id, value, unit = "") {
  const unitText = document.createElement("small");
  unitText.textContent = unit;
  $(id).replaceChildren(...(value === null ? ["–"] : [String(value), unitText]));
}

async function refresh() {
  try {
    streams = await listStreams();
  } catch (problem) {
    $("totals").textContent = problem.message;
    return;
  }
  if (!streams.some((stream) => stream.id === selected)) {
    const wanted = decodeURIComponent(location.hash.slice(1));
    select((streams.find((stream) => stream.id === wanted) ?? streams[0])?.id ?? null);
  }
  show();
}

async function poll() {
  await refresh();
  setTimeout(poll, POLL_MS);
}

async function add(stream, problemId) {
  $(problemId).textContent = "";
  try {
    const added = await addStream(stream);
    await refresh();
    select(added.id);
    return true;
  } catch (problem) {
    $(problemId).textContent = problem.message;
    return false;
  }
}

function openAddDialog() {
  $("add-form").reset();
  $("add-problem").textContent = "";
  $("add-dialog").showModal();
}

$("add-form").onsubmit = async (event) => {
  event.preventDefault();
  const { url, name, username, password, k } = Object.fromEntries(new FormData(event.target));
  const stream = { url: url.trim() };
  if (name.trim()) stream.name = name.trim();
  if (k) stream.k = Number(k);
  if (username || password) stream.credentials = { username, password };
  const submit = event.target.querySelector("[type=submit]");
  submit.disabled = true;
  if (await add(stream, "add-problem")) $("add-dialog").close();
  submit.disabled = false;
};

$("add-cancel").onclick = () => $("add-dialog").close();
$("add").onclick = openAddDialog;
$("empty-add").onclick = openAddDialog;
$("empty-scene").onclick = () => add(DRAWN_SCENE, "empty-problem");

$("remove").onclick = () => {
  $("remove-name").textContent = $("stage-name").textContent;
  $("remove-dialog").returnValue = "no";
  $("remove-dialog").showModal();
};
$("remove-dialog").onclose = async () => {
  if ($("remove-dialog").returnValue !== "yes") return;
  await removeStream(selected).catch(() => {}); // gone already is gone
  await refresh();
};

function toggle(button, property) {
  stage[property] = !stage[property];
  button.setAttribute("aria-pressed", String(stage[property]));
}
$("show-trails").onclick = () => toggle($("show-trails"), "showTrails");
$("show-labels").onclick = () => toggle($("show-labels"), "showLabels");

function step(by) {
  if (!streams.length) return;
  const at = streams.findIndex((stream) => stream.id === selected);
  const next = streams[(at + by + streams.length) % streams.length].id;
  select(next);
  cards.focus(next);
}

const KEYS = {
  a: openAddDialog,
  t: () => $("show-trails").click(),
  i: () => $("show-labels").click(),
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
};

document.addEventListener("keydown", (event) => {
  const busy = event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input") || document.querySelector("dialog[open]");
  if (busy || !KEYS[event.key]) return;
  event.preventDefault();
  KEYS[event.key]();
});

poll();
