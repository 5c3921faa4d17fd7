// Requests about journals, with the access token, and the key of a journal that has a passphrase.

const GONE = "The server does not answer. Is it running? Then try again.";

export class JournalClient {
  constructor(token) {
    Object.assign(this, { token, person: "", key: "" });
  }

  // Of the journal that is open: `ask("trend")`; of all: `askAll()`. Gives JSON, or the answer itself.
  ask(path, options) {
    return this.askAll(`/${encodeURIComponent(this.person)}${path && `/${path}`}`, options);
  }

  async askAll(path = "", { method = "GET", json, form, raw = false } = {}) {
    const headers = {};
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (this.key) headers["Emovox-Key"] = this.key;
    if (json) headers["Content-Type"] = "application/json";
    const body = json ? JSON.stringify(json) : form;
    const how = { method, headers, body, cache: "no-store" };
    const answer = await fetch(`v1/journal${path}`, how).catch(() => null);
    if (!answer) throw new Error(GONE);
    if (answer.ok) return raw ? answer : answer.status === 204 ? null : answer.json();
    const { code = "", message } = (await answer.json().catch(() => null))?.error ?? {};
    throw Object.assign(new Error(sentence(message ?? `The server refused it: ${answer.status}`)), { code });
  }

  // Where a live session that is kept begins, the subprotocols that it offers, and what tells why
  // it was refused.
  stream(device) {
    const params = new URLSearchParams({ device, offset_min: -new Date().getTimezoneOffset() });
    return {
      path: `v1/journal/${encodeURIComponent(this.person)}/stream?${params}`,
      protocols: this.key ? [`key.${this.key}`] : [],
      check: () => this.ask("").then(() => "", (error) => (error.code ? error.message : "")),
    };
  }
}

function sentence(words) {
  const whole = words.charAt(0).toUpperCase() + words.slice(1);
  return /[.?!]$/.test(whole) ? whole : `${whole}.`;
}
