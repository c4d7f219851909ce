// Sends changes one at a time: what is asked for meanwhile is joined, the newest value of each field winning, and goes
// out when the answer before is there. So the last that was asked for is the last that arrives.

export class NewestWins {
  // send(change): a promise; rejects where the change is refused.
  constructor(send) {
    this.deliver = send;
    this.waiting = null;
    this.sending = null; // promise of the round under way
  }

  get busy() {
    return this.sending !== null;
  }

  // Resolves when nothing is left to send; rejects with the refusal of the newest change.
  send(change) {
    this.waiting = { ...this.waiting, ...change };
    this.sending ??= this.round();
    return this.sending;
  }

  async round() {
    let refusal = null;
    while (this.waiting) {
      const change = this.waiting;
      this.waiting = null;
      refusal = await this.deliver(change).then(() => null, (problem) => problem);
    }
    this.sending = null;
    if (refusal) throw refusal;
  }
}
