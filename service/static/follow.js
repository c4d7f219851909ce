// Follows one stream: track messages by WebSocket and plain pictures by motion JPEG, brought together by `seq`.

import { streamPath } from "./api.js";
import { pictures } from "./mjpeg.js";

const KEEP_MESSAGES = 256;
const RETRY_MS = 1000;

export class Follower {
  // onMessage(message) for every frame; onPicture(picture, message | undefined) for every picture shown.
  constructor(id, { onMessage, onPicture }) {
    this.id = id;
    this.onMessage = onMessage;
    this.onPicture = onPicture;
    this.messages = new Map();
    this.ended = new AbortController();
    this.followTracks();
    this.followPictures();
  }

  close() {
    this.ended.abort();
    this.socket?.close();
  }

  followTracks() {
    const url = new URL(`${streamPath(this.id)}/tracks`, document.baseURI);
    url.protocol = url.protocol.replace("http", "ws");
    this.socket = new WebSocket(url);
    this.socket.onmessage = ({ data }) => {
      if (!this.stillHere()) return;
      const message = JSON.parse(data);
      this.messages.set(message.seq, message);
      if (this.messages.size > KEEP_MESSAGES) this.messages.delete(this.messages.keys().next().value);
      this.onMessage(message);
    };
    this.socket.onclose = ({ code }) => {
      if (code !== 1000 && !this.ended.signal.aborted) setTimeout(() => this.stillHere() && this.followTracks(), RETRY_MS);
    };
  }

  async followPictures() {
    while (this.stillHere()) {
      try {
        for await (const { seq, picture } of pictures(`${streamPath(this.id)}/video?boxes=false`, this.ended.signal)) {
          if (this.stillHere()) this.onPicture(picture, this.messages.get(seq));
          picture.close();
        }
      } catch {
        // the service is away or the stream is gone; the list tells which
      }
      await new Promise((later) => setTimeout(later, RETRY_MS));
    }
  }

  stillHere() {
    return !this.ended.signal.aborted;
  }
}
