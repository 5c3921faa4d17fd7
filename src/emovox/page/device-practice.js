// Practice on this device: what can be practised, and sessions like the server's.

import { FILES, device } from "./device.js";

// What can be practised, as the service tells it.
export async function deviceChoices() {
  const answer = await fetch(new URL("practice.json", FILES));
  if (!answer.ok) throw new Error("The files of this page are not complete. Reload it.");
  return await answer.json();
}

// A session of practice, of the shape of `Session` with that option: the same calls and messages.
export class DevicePractice {
  constructor({ options, on }) {
    Object.assign(this, { options, on, session: crypto.randomUUID() });
  }

  async connect() {
    this.set("connecting");
    const { rate, emotion, practice } = this.options;
    const begun = device.open().then(() => this.ask("practise", { rate, emotion, asked: practice }));
    const messages = await begun.catch((error) => this.end(`Not on this device: ${error.message}.`));
    if (this.state !== "connecting") return this.forget();
    this.set("live");
    this.hear(messages);
  }

  set(state, problem = "") {
    this.state = state;
    this.on.state(state, problem);
  }

  ask(call, args) {
    return device.ask(call, { session: this.session, ...args });
  }

  // Takes 16-bit samples.
  feed(samples) {
    if (this.state === "live") this.answer(this.ask("practised", { samples }));
  }

  // Of the messages to a server only that about another aim means something here.
  tell({ type, ...asked }) {
    if (this.state === "live" && type === "practice") this.answer(this.ask("practise", { asked }));
  }

  async answer(asked) {
    this.hear(await asked.catch((error) => this.end(`The session ended: ${error.message}.`)));
  }

  hear(messages = []) {
    if (this.state === "live") messages.forEach((message) => this.on.practice(message));
  }

  forget() {
    if (device.worker) this.ask("end");
  }

  close() {
    this.end("");
  }

  end(problem) {
    if (this.state === "closed") return;
    this.forget();
    this.set("closed", problem);
  }
}
