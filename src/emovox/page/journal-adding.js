// Recordings that come into a journal, each with the time at which it was made.

import { card, choice, field, localStamp, make, soft, spoken, stamp } from "./journal-parts.js";

export class Adding {
  constructor(journal) {
    Object.assign(this, { journal, files: [] });
    const choose = make("input", { type: "file", multiple: true, accept: "audio/*,.flac,.opus,.ogg,.aiff,.wav,.mp3",
      id: "journal-choose", "aria-describedby": "journal-formats", onchange: () => this.take(choose.files) });
    choose.addEventListener("click", () => (choose.value = "")); // the same again
    const drop = make("div", { className: "drop" }, choose, make("label", { htmlFor: "journal-choose", className: "main" }, "Choose recordings"),
      make("p", { className: "soft", id: "journal-formats" }, "or drop some here: WAV, FLAC, Ogg, MP3 or AIFF"));
    drop.ondragover = drop.ondragleave = drop.ondrop = (event) => {
      event.preventDefault();
      drop.classList.toggle("over", event.type === "dragover");
      if (event.type === "drop") this.take(event.dataTransfer.files);
    };
    this.list = make("div");
    this.device = make("input", { type: "text", maxLength: 200, id: "journal-device" });
    const channels = [["", "all channels"], ...[0, 1].map((channel) => [String(channel), `channel ${channel + 1} alone`])];
    this.channel = choice(channels, { id: "journal-channel" });
    this.button = make("button", { className: "main", id: "journal-add", hidden: true, onclick: () => this.add() }, "Add");
    const device = field("Recorded with", this.device, "Such as: phone. Sessions of another device are not compared.");
    this.facts = make("div", { className: "form", hidden: true }, device, field("You are on", this.channel));
    this.place = card("Add recordings", drop, this.list, this.facts, make("div", { className: "buttons" }, this.button),
      soft("Record yourself alone: other people in the room have not agreed. File names are not kept."));
  }

  show() {}

  take(files) {
    this.files = [...files].map((file) => {
      const when = make("input", { type: "datetime-local", required: true, value: localStamp(new Date(file.lastModified)) });
      const state = make("p", { className: "small", role: "status" });
      return { file, when, state, line: make("div", { className: "adding" }, field(`When was ${file.name} recorded?`, when), state) };
    });
    this.list.replaceChildren(...this.files.map(({ line }) => line));
    this.facts.hidden = this.button.hidden = !this.files.length;
    this.button.textContent = this.files.length > 1 ? `Add ${this.files.length} recordings` : "Add";
  }

  async add() {
    this.button.disabled = true;
    for (const one of this.files) await this.addOne(one);
    this.button.disabled = false;
    this.button.hidden = this.facts.hidden = true;
    await this.journal.attempt(() => this.journal.load());
    this.journal.header.replaceChildren(...this.journal.headerParts());
  }

  async addOne({ file, when, state }) {
    const form = new FormData();
    form.append("began", stamp(new Date(when.value)));
    form.append("device", this.device.value.trim());
    form.append("channel", this.channel.value);
    form.append("file", file);
    state.textContent = "Sent, and listened to…";
    when.disabled = true;
    try {
      const { session, is_new, resumed_s, warning } = await this.journal.client.ask("recordings", { method: "POST", form });
      const known = is_new ? `Session ${session.id}` : `It is in the journal already, as session ${session.id}`;
      const from = resumed_s ? `, heard on from ${resumed_s.toFixed(1)} s` : "";
      state.textContent = `${known}${from}: ${spoken(session.speech_s)} of speech.${warning && ` ${warning}.`}`;
    } catch (error) {
      state.textContent = error.message;
      when.disabled = false;
    }
  }
}
