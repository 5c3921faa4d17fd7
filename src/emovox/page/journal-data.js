// What the person agrees to, how long it is kept, what is given away, and what is deleted.

import { card, check, choice, counted, entriesWords, field, make, save, soft, table, whenWords } from "./journal-parts.js";

const FORMATS = {
  jsonl: "JSON lines: everything, sound included; can be imported again",
  csv: "CSV tables", parquet: "Parquet tables", textgrid: "TextGrid, for Praat", eaf: "EAF, for ELAN",
  bids: "BIDS folders", fhir: "FHIR R4 Observations",
};

export function consentWords({ emotion, sound, retention_days }) {
  const kept = ["measurements of the voice", emotion ? "which emotion it sounded like" : "", sound ? "its sound" : ""];
  const not = [emotion ? "" : "no emotion is inferred", sound ? "" : "no sound is kept"].filter(Boolean).join(", ");
  const days = retention_days ? `for ${counted(retention_days, "day")}` : "as long as you like";
  return `Kept ${days}: ${kept.filter(Boolean).join(", ")}${not && `; ${not}`}.`;
}

// Three switches, of which measuring is always on, and the days.
export class Switches {
  constructor({ emotion, sound, retention_days }) {
    const measure = check("Measure the voice: pitch, loudness, tempo, pauses (always part of it)", { checked: true, disabled: true });
    this.emotion = check("Infer which emotion the voice sounded like", { checked: emotion, id: "journal-emotion" });
    this.sound = check("Keep the sound of the speech", { checked: sound, id: "journal-sound" });
    this.days = make("input", { type: "number", min: 1, max: 36500, value: retention_days ?? "", id: "journal-days" });
    this.part = make("fieldset", {}, make("legend", {}, "What is kept"), measure.line, this.emotion.line, this.sound.line,
      field("For how many days", this.days, "Empty: as long as you like."));
  }

  get value() {
    const retention_days = this.days.value === "" ? null : Number(this.days.value);
    return { emotion: this.emotion.box.checked, sound: this.sound.box.checked, retention_days };
  }
}

export class DataView {
  constructor(journal) {
    Object.assign(this, { journal, place: make("div") });
  }

  show() {
    const { forgotten } = this.journal.overview;
    const { sessions, check_ins, practised } = this.journal.overview;
    this.holds = entriesWords({ sessions: sessions.length, check_ins: check_ins.length, practised: practised.length });
    this.place.replaceChildren(this.consentCard(), this.exportCard(), this.forgetCard(forgotten));
  }

  consentCard() {
    const { consent } = this.journal.overview;
    const { text, version } = this.journal.state.consent;
    const switches = new Switches(consent);
    const agree = check("I have read this and I agree.", { id: "journal-agree-again" });
    const form = make("form", { className: "form" }, switches.part, make("p", { className: "consent" }, text), agree.line,
      make("div", { className: "buttons" }, make("button", { className: "main" }, "Change")));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      const { value } = switches;
      if (consent.sound && !value.sound && !confirm("The sound that was kept is deleted. Go on?")) return;
      this.journal.attempt(async () => {
        const json = { ...value, version, agreed: agree.box.checked };
        await this.journal.client.ask("consent", { method: "PUT", json });
        await this.journal.refresh();
        this.journal.say("Changed.");
      });
    });
    return card("Consent", soft(`Agreed to on ${whenWords(consent.at)}, version ${consent.version} of the text.`), form);
  }

  exportCard() {
    const { formats } = this.journal.state;
    const kind = choice(formats.map((name) => [name, FORMATS[name] ?? name]), { id: "journal-format" });
    const button = make("button", { className: "main", onclick: () => this.export(kind.value) }, "Download");
    return card("Export", field("Format", kind), make("p", { id: "journal-holds" }, `It holds ${this.holds}.`), soft("An export is not sealed: whoever has it can read all of it."),
      make("div", { className: "buttons" }, button));
  }

  export(kind) {
    return this.journal.attempt(async () => {
      const answer = await this.journal.client.ask(`export?format=${kind}`, { raw: true });
      const [, name] = /filename="([^"]+)"/.exec(answer.headers.get("Content-Disposition"));
      save(await answer.blob(), name);
      this.journal.say(`Exported: ${this.holds}.`);
    });
  }

  forgetCard(forgotten) {
    const rows = forgotten.map(({ at, entries }) => [whenWords(at), String(entries)]);
    const button = make("button", { className: "danger", id: "journal-forget", onclick: () => this.forget() }, "Delete this journal");
    return card("Forget", soft("Deletes all sessions, check-ins, practice and sound, and the name; with a passphrase the key goes first."),
      rows.length ? table("What was deleted, when", ["Deleted", "Entries"], rows) : "",
      make("div", { className: "buttons" }, button));
  }

  forget() {
    const { name } = this.journal.overview;
    if (!confirm(`Delete the journal of ${name} for good? This cannot be undone.`)) return undefined;
    return this.journal.attempt(async () => {
      const gone = await this.journal.client.ask("", { method: "DELETE" });
      Object.assign(this.journal.client, { person: "", key: "" });
      await this.journal.begin();
      this.journal.say(`The journal is deleted: ${entriesWords(gone)}.`);
    });
  }
}
