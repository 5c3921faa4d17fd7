// The journal tab: whose journal, consent before anything is kept, and the views of one journal.

import { CalendarView } from "./journal-calendar.js";
import { JournalClient } from "./journal-client.js";
import { CompareView } from "./journal-compare.js";
import { DataView, consentWords, Switches } from "./journal-data.js";
import { NowView } from "./journal-now.js";
import { card, check, entriesWords, field, make, soft } from "./journal-parts.js";
import { TrendView } from "./journal-trend.js";
import { $, notice } from "./results.js";

const VIEWS = { Now: NowView, Calendar: CalendarView, Trend: TrendView, Compare: CompareView, "Your data": DataView };

export class Journal {
  constructor(model, token) {
    Object.assign(this, { model, token, client: new JournalClient(token), views: {}, changed: () => {} });
    this.place = $("journal-parts");
    $("journal-tab").addEventListener("click", () => this.overview && this.attempt(() => this.refresh()));
    this.begin();
  }

  async begin(person = "") {
    this.leave();
    const state = await this.client.askAll().catch(() => null);
    $("journal-tab").hidden = !state?.offered;
    if (!state?.offered) return;
    this.state = state;
    if (!state.on) return this.tell(state.why);
    const wanted = state.people.find(({ id }) => id === person) ?? (state.people.length === 1 && state.people[0]);
    if (wanted) return this.open(wanted);
    if (state.people.length) return this.show(this.peopleCard());
    this.show(this.newCard());
  }

  // What a view does, with its problems in one line.
  async attempt(what) {
    this.tell("");
    try {
      return await what();
    } catch (error) {
      this.tell(error.message);
      if (error.code === "locked" && this.overview) this.forgetKey();
      return undefined;
    }
  }

  tell(problem) {
    notice("journal-problem", problem);
  }

  say(words) {
    $("spoken").textContent = words;
  }

  show(...parts) {
    this.place.replaceChildren(...parts);
  }

  leave() {
    Object.values(this.views).forEach((view) => view.leave?.());
    this.views = {};
    this.header = this.overview = undefined;
    this.changed();
  }

  peopleCard() {
    const buttons = this.state.people.map((person, place) =>
      make("button", { onclick: () => this.open(person) }, person.name ?? `Journal ${place + 1}, ${person.locked ? "with a passphrase" : "not readable"}`),
    );
    if (this.state.can_begin) buttons.push(make("button", { onclick: () => this.show(this.newCard()) }, "New person"));
    return card("Whose journal?", make("div", { className: "buttons" }, buttons));
  }

  // Consent comes before the first Start.
  newCard() {
    const name = make("input", { type: "text", required: true, maxLength: 200, autocomplete: "off", id: "journal-name" });
    const secret = make("input", { type: "password", autocomplete: "new-password", id: "journal-new-passphrase" });
    const again = make("input", { type: "password", autocomplete: "new-password", id: "journal-again" });
    const switches = new Switches({ emotion: false, sound: false, retention_days: null });
    const agree = check("I am this person, I have read this and I agree.", { required: true, id: "journal-agree" });
    const back = make("button", { type: "button", onclick: () => this.begin() }, "Back");
    const form = make("form", { className: "form" },
      field("Your name", name),
      switches.part,
      field("Passphrase, if you like", secret, "It seals every entry. Without it nobody can read them again, you neither."),
      field("The same passphrase again", again),
      make("p", { className: "consent", id: "journal-consent" }, this.state.consent.text),
      agree.line,
      make("div", { className: "buttons" }, make("button", { className: "main" }, "Begin"), this.state.people.length ? back : ""),
    );
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      if (secret.value !== again.value) return this.tell("The two passphrases are not the same.");
      const { version } = this.state.consent;
      const json = { name: name.value, version, agreed: agree.box.checked, ...switches.value };
      if (secret.value) json.passphrase = secret.value;
      this.attempt(async () => {
        const { id, key } = await this.client.askAll("", { method: "POST", json });
        Object.assign(this.client, { person: id, key });
        await this.begin(id);
      });
    });
    return card("Begin a journal", soft("Kept on the machine of this service, and nowhere else. Nothing is kept before you agree."), form);
  }

  async open(person) {
    const { client } = this;
    if (client.person !== person.id) client.key = "";
    client.person = person.id;
    if (person.problem) {
      this.show(this.peopleCard());
      return this.tell(`${person.problem}.`);
    }
    if (person.locked && !client.key) return this.show(this.unlockCard());
    await this.choose("Now");
  }

  unlockCard() {
    const secret = make("input", { type: "password", autocomplete: "current-password", required: true, id: "journal-passphrase" });
    const form = make("form", { className: "form" }, field("Passphrase of this journal", secret),
      make("div", { className: "buttons" }, make("button", { className: "main" }, "Unlock"),
        this.state.people.length > 1 || this.state.can_begin ? make("button", { type: "button", onclick: () => this.others() }, "Other people") : ""));
    form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.attempt(async () => {
        const answer = await this.client.ask("unlock", { method: "POST", json: { passphrase: secret.value } });
        this.client.key = answer.key;
        await this.begin(this.client.person);
      });
    });
    return card("Locked", soft("The passphrase stays in memory: for a quarter of an hour without use, or until you lock it."), form);
  }

  others() {
    this.tell("");
    this.leave();
    this.show(this.state.people.length > 1 ? this.peopleCard() : this.newCard());
  }

  async lock() {
    await this.attempt(() => this.client.ask("lock", { method: "POST" }));
    await this.forgetKey();
  }

  forgetKey() {
    this.client.key = "";
    return this.begin(this.client.person);
  }

  async load() {
    this.overview = await this.client.ask("");
    this.changed();
  }

  // After a change: everything that is shown is read again.
  async refresh(...more) {
    await this.load();
    this.header.replaceChildren(...this.headerParts());
    await this.view.show(...more);
  }

  async choose(name, ...more) {
    this.tell("");
    this.header ??= make("div", { className: "card", id: "journal-person" });
    const nav = make("nav", { className: "views", "aria-label": "Journal" },
      Object.keys(VIEWS).map((one) => make("button", { onclick: () => this.choose(one), "aria-current": one === name ? "page" : "false" }, one)));
    this.view = this.views[name] ??= new VIEWS[name](this);
    this.show(this.header, nav, this.view.place);
    await this.attempt(() => this.refresh(...more));
    nav.querySelector("[aria-current=page]").focus();
  }

  // What is kept, and for how long, is always in sight.
  headerParts() {
    const { name, consent, due, locked } = this.overview;
    const buttons = [];
    if (locked) buttons.push(make("button", { onclick: () => this.lock() }, "Lock"));
    if (this.state.people.length > 1 || this.state.can_begin) buttons.push(make("button", { onclick: () => this.others() }, "Other people"));
    const old = due
      ? make("p", { className: "notice" }, `${due === 1 ? "1 entry is" : `${due} entries are`} older than you agreed to. `,
          make("button", { className: "small", onclick: () => this.purge() }, "Delete them"))
      : "";
    return [
      make("div", { className: "row" }, make("h2", {}, `Journal of ${name}`), ...buttons),
      make("p", { className: "soft", id: "journal-kept" }, consentWords(consent)),
      old,
    ];
  }

  purge() {
    return this.attempt(async () => {
      const gone = await this.client.ask("purge", { method: "POST" });
      await this.refresh();
      this.say(`Deleted: ${entriesWords(gone)}.`);
    });
  }
}
