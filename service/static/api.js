// The service's HTTP interface. Errors carry the text of the problem that the service answered with.

export class Problem extends Error {
  constructor({ code, detail }) {
    super(detail);
    this.code = code;
  }
}

async function call(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Problem({ code: "unreachable", detail: "The service does not answer." });
  }
  if (!answer.ok) {
    throw new Problem(await answer.json().catch(() => ({ code: "unknown", detail: `HTTP ${answer.status}` })));
  }
  return answer.status === 204 ? null : answer.json();
}

export const streamPath = (id) => `streams/${encodeURIComponent(id)}`;

export const listStreams = async () => (await call("streams")).streams;

export const addStream = (stream) =>
  call("streams", { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(stream) });

export const removeStream = (id) => call(streamPath(id), { method: "DELETE" });
