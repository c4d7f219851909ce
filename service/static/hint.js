// What boxes, ids and networks mean, for who is here for the first time. Dismissed once, it never comes back.

const PLACE = "atttrack-hint-seen";

export class Hint {
  constructor(at) {
    this.card = at("hint");
    this.seen = localStorage.getItem(PLACE) !== null;
    at("hint-close").onclick = () => {
      this.seen = true;
      localStorage.setItem(PLACE, "yes");
      this.card.hidden = true;
      at("main").focus();
    };
  }

  show(something) {
    this.card.hidden = this.seen || !something;
  }
}
