// ID retention: of the ids on the previous keyframe, the share that is still there on this one. 1: nobody was lost.

export class Retention {
  constructor() {
    this.epoch = null;
    this.ids = new Set();
    this.kept = 0;
    this.asked = 0;
  }

  add({ kind, epoch, tracks }) {
    if (kind !== "teacher") return;
    const ids = new Set(tracks.map(({ id }) => id));
    if (epoch === this.epoch) {
      this.asked += this.ids.size;
      for (const id of this.ids) this.kept += ids.has(id);
    }
    this.epoch = epoch;
    this.ids = ids;
  }

  // Pooled since the last call; null where there was nobody to keep.
  take() {
    const share = this.asked ? this.kept / this.asked : null;
    this.kept = this.asked = 0;
    return share;
  }
}
