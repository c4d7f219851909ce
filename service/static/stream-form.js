// The dialog that adds a stream or changes one; what the service refuses is said at the field.

import { addStream, changeStream } from "./api.js";

const FIELD_OF = {
  invalid_url: "url", scheme_not_allowed: "url", address_not_allowed: "url", path_not_allowed: "url", no_video: "url",
  not_found: "url", codec_unsupported: "url", connection_failed: "url", mode_not_available: "mode",
};

export class StreamForm {
  // onDone(stream) after the service has taken it.
  constructor(dialog, onDone) {
    this.dialog = dialog;
    this.form = dialog.querySelector("form");
    this.fields = this.form.elements;
    this.onDone = onDone;
    this.form.onsubmit = (event) => {
      event.preventDefault();
      this.send();
    };
    dialog.querySelector("[data-cancel]").onclick = () => dialog.close();
  }

  // For a new stream, or for one that is there.
  open(stream = null) {
    this.stream = stream;
    this.form.reset();
    this.clear();
    const text = (selector, words) => (this.dialog.querySelector(selector).textContent = words);
    text("h2", stream ? `Edit ${stream.name}` : "Add stream");
    text("[type=submit]", stream ? "Save" : "Add stream");
    const keep = stream && `Now ${stream.url}. Leave empty to keep it.`;
    const secret = stream?.has_credentials ? "Kept as they are while both are empty." : "If the camera asks for them.";
    text("[data-hint=url]", keep ?? "rtsp:// or rtsps:// address of the camera");
    text("[data-hint=password]", secret);
    this.fields.url.required = !stream;
    this.fields.name.value = stream?.name ?? "";
    this.fields.note.value = stream?.note ?? "";
    this.fields.identity.value = stream?.identity ?? "keep";
    this.dialog.showModal();
    (stream ? this.fields.name : this.fields.url).focus();
  }

  async send() {
    this.clear();
    const submit = this.dialog.querySelector("[type=submit]");
    submit.disabled = true;
    try {
      const done = this.stream ? await changeStream(this.stream.id, this.body()) : await addStream(this.body());
      this.dialog.close();
      this.onDone(done);
    } catch (problem) {
      this.show(problem);
    }
    submit.disabled = false;
  }

  body() {
    const { url, name, note, username, password, identity } = Object.fromEntries(new FormData(this.form));
    const body = { identity, note: note.trim() };
    if (url.trim()) body.url = url.trim();
    if (name.trim()) body.name = name.trim();
    else if (this.stream) body.name = null;
    if (username || password) body.credentials = { username, password };
    return body;
  }

  show({ code, message, errors }) {
    const byField = errors.length ? errors : [{ field: FIELD_OF[code] ?? "", message }];
    const rest = byField.filter(({ field, message: text }) => !this.mark(field.split(".").at(-1), text));
    this.dialog.querySelector("#form-problem").textContent = rest.map(({ message: text }) => text).join(" ");
    this.form.querySelector("[aria-invalid=true]")?.focus();
  }

  mark(name, text) {
    const place = this.form.querySelector(`[data-problem="${CSS.escape(name)}"]`);
    if (!place) return false;
    place.textContent = text;
    this.fields[name].setAttribute("aria-invalid", "true");
    return true;
  }

  clear() {
    for (const place of this.form.querySelectorAll(".problem")) place.textContent = "";
    for (const field of this.form.querySelectorAll("[aria-invalid]")) field.removeAttribute("aria-invalid");
  }
}
