// Reads multipart/x-mixed-replace: yields {seq, picture} for each part, `seq` naming its track message.

import { open } from "./api.js";

const END_OF_HEADERS = [13, 10, 13, 10];

export async function* pictures(url, signal) {
  const answer = await open(url, { signal });
  const reader = answer.body.getReader();
  let bytes = new Uint8Array(0);

  const more = async () => {
    const { done, value } = await reader.read();
    if (done) return false;
    const joined = new Uint8Array(bytes.length + value.length);
    joined.set(bytes);
    joined.set(value, bytes.length);
    bytes = joined;
    return true;
  };

  for (;;) {
    let end;
    while ((end = find(bytes, END_OF_HEADERS)) < 0) if (!(await more())) return;
    const head = new TextDecoder().decode(bytes.subarray(0, end));
    const begin = end + END_OF_HEADERS.length;
    const length = Number(/content-length: *(\d+)/i.exec(head)[1]);
    while (bytes.length < begin + length) if (!(await more())) return;
    const blob = new Blob([bytes.subarray(begin, begin + length)], { type: "image/jpeg" });
    bytes = bytes.slice(begin + length);
    yield { seq: Number(/x-seq: *(\d+)/i.exec(head)[1]), picture: await createImageBitmap(blob) };
  }
}

function find(bytes, pattern) {
  outer: for (let at = bytes.indexOf(pattern[0]); at >= 0; at = bytes.indexOf(pattern[0], at + 1)) {
    for (let i = 1; i < pattern.length; i++) if (bytes[at + i] !== pattern[i]) continue outer;
    return at;
  }
  return -1;
}
