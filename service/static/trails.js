// Where each person's feet were during the last seconds, in source pixels.

const KEEP_S = 2.5;

export class Trails {
  constructor() {
    this.byId = new Map();
  }

  add(message) {
    const oldest = message.ts_capture - KEEP_S;
    for (const { id, bbox } of message.tracks) {
      const [x, y, height] = [(bbox[0] + bbox[2]) / 2, bbox[3], bbox[3] - bbox[1]];
      const last = this.byId.get(id)?.at(-1);
      // A leap of more than one's own height is no path: somebody was found again elsewhere.
      if (!last || Math.hypot(x - last.x, y - last.y) > height) this.byId.set(id, []);
      this.byId.get(id).push({ seq: message.seq, t: message.ts_capture, x, y });
    }
    for (const [id, points] of this.byId) {
      while (points.length && points[0].t < oldest) points.shift();
      if (!points.length) this.byId.delete(id);
    }
  }

  // Points of a person up to the frame `seq`, each with its freshness from 0 (about to go) to 1 (now).
  upTo(message, id) {
    const points = (this.byId.get(id) ?? []).filter((point) => point.seq <= message.seq);
    return points.map(({ x, y, t }) => ({ x, y, fresh: Math.max(0, 1 - (message.ts_capture - t) / KEEP_S) }));
  }
}
