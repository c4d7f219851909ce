// Follows one stream: track messages by WebSocket and plain pictures by motion JPEG, brought together by `seq`.

import { socketUrl, streamPath } from "./api.js";
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

  async followTracks() {
    let url;
    try {
      url = await socketUrl(`${streamPath(this.id)}/tracks`);
    } catch {
      this.againSoon(() => this.followTracks()); // the list says what is wrong
      return;
    }
    if (this.gone()) return;
    this.socket = new WebSocket(url);
    this.socket.onmessage = ({ data }) => {
      if (this.gone()) return;
      const message = JSON.parse(data);
      this.messages.set(message.seq, message);
      if (this.messages.size > KEEP_MESSAGES) this.messages.delete(this.messages.keys().next().value);
      this.onMessage(message);
    };
    this.socket.onclose = ({ code }) => {
      if (code !== 1000) this.againSoon(() => this.followTracks());
    };
  }

  async followPictures() {
    while (!this.gone()) {
      try {
        for await (const { seq, picture } of pictures(`${streamPath(this.id)}/video?boxes=false`, this.ended.signal)) {
          if (!this.gone()) this.onPicture(picture, this.messages.get(seq));
          picture.close();
        }
      } catch {
        // the service is away or the stream is gone; the list tells which
      }
      await new Promise((later) => setTimeout(later, RETRY_MS));
    }
  }

  againSoon(task) {
    setTimeout(() => this.gone() || task(), RETRY_MS);
  }

  gone() {
    return this.ended.signal.aborted;
  }
}
