// The service's HTTP interface. Errors carry what the service said, for people and by field.

import { Key } from "./key.js";

export class Problem extends Error {
  constructor({ code, detail, status = 0, errors = [] }) {
    super(detail);
    this.code = code;
    this.status = status;
    this.errors = errors;
  }
}

const key = new Key(document.getElementById("key-dialog"));

// Fetches with the key; asks for one where the service wants it. Throws Problem unless the answer is a success.
export async function open(path, options = {}) {
  const tried = key.value;
  let answer;
  try {
    answer = await fetch(path, { ...options, headers: { ...options.headers, ...key.headers } });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new Problem({ code: "unreachable", detail: "The service does not answer." });
  }
  if (answer.ok) return answer;
  const said = await answer.json().catch(() => ({ code: "unknown", detail: `HTTP ${answer.status}` }));
  if (answer.status !== 401) throw new Problem({ ...said, status: answer.status });
  if (tried === key.value) await key.ask("This key is not accepted; try another one.");
  return open(path, options);
}

async function call(path, method = "GET", body = undefined) {
  const options = body === undefined ? {} : { headers: { "Content-Type": "application/json" }, body: JSON.stringify(body) };
  const answer = await open(path, { method, ...options });
  return answer.status === 204 ? null : answer.json();
}

// What the service is still busy with before it takes streams, in words; "" once it is ready.
export async function startingWith() {
  const answer = await fetch("readyz").catch(() => null);
  const { reasons = [] } = (await answer?.json().catch(() => ({}))) ?? {};
  return reasons.map(({ detail }) => detail).join("; ");
}

export const streamPath = (id) => `streams/${encodeURIComponent(id)}`;

export const listStreams = () => call("streams"); // { streams, notice }
export const addStream = (stream) => call("streams", "POST", stream);
export const changeStream = (id, patch) => call(streamPath(id), "PATCH", patch);
export const removeStream = (id) => call(streamPath(id), "DELETE");
export const putZones = (id, zones) => call(`${streamPath(id)}/zones`, "PUT", { zones });
export const getCounts = async (id) => (await call(`${streamPath(id)}/counts`)).zones;
export const resetCounts = (id) => call(`${streamPath(id)}/counts/reset`, "POST");
export const chooseStudent = (id, student) => call(`${streamPath(id)}/adaptation`, "POST", { student });

export const getCluster = () => call("cluster");
export const drainNode = (name, on) => call(`cluster/nodes/${encodeURIComponent(name)}/drain`, on ? "POST" : "DELETE");

export const getTimeline = (id, from, to) => call(`${streamPath(id)}/timeline?from=${from}&to=${to}`);
export const getStill = async (id, still) => (await open(`${streamPath(id)}/stills/${still}`)).blob();

// Lets the browser save what an address answers; a link could not bring the key.
export async function save(path) {
  const answer = await open(path);
  const name = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition") ?? "")?.[1] ?? "export";
  const href = URL.createObjectURL(await answer.blob());
  Object.assign(document.createElement("a"), { href, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(href), 60_000);
}

// Address of a WebSocket; with a key, by a ticket that is good for one connection: browsers can send no header there.
export async function socketUrl(path) {
  const url = new URL(path, document.baseURI);
  url.protocol = url.protocol.replace("http", "ws");
  if (key.value) url.searchParams.set("ticket", (await call("tickets", "POST")).ticket);
  return url;
}
