// The API key: asked for when the service wants one, kept for this tab only.

const PLACE = "atttrack-key";

export class Key {
  constructor(dialog) {
    this.dialog = dialog;
    this.value = sessionStorage.getItem(PLACE);
    this.asking = null;
  }

  get headers() {
    return this.value ? { Authorization: `Bearer ${this.value}` } : {};
  }

  // Asks once, however many requests were refused; resolves when there is a key to try.
  ask(why) {
    this.asking ??= new Promise((answered) => {
      let done = false;
      const form = this.dialog.querySelector("form");
      const input = form.elements.key;
      this.dialog.querySelector(".problem").textContent = this.value ? why : "";
      input.value = "";
      form.onsubmit = () => {
        this.value = input.value.trim();
        sessionStorage.setItem(PLACE, this.value);
        this.asking = null;
        done = true;
        answered();
      };
      this.dialog.onclose = () => done || this.dialog.showModal(); // without a key there is nothing to see
      this.dialog.showModal();
      input.focus();
    });
    return this.asking;
  }
}
