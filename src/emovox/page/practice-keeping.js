// Practice in the person's journal: whether it is kept there, and the last sessions of a target.

import { bestWords, judgedWords, make, table, whenWords } from "./journal-parts.js";
import { $ } from "./results.js";

const ROWS = 5; // sessions, the latest ones
const NOTHING = "Nothing is kept when you stop.";
const KEPT = "Kept after each take: when, the target, whether the model judged, how many takes counted, and how close the best of " +
  "each sentence came. No sound.";
const NEEDS_MODEL = "Not kept: only the model can judge this target, and the journal allows no inference of emotions.";

export class Keeping {
  // `chosen` is called when the person ticks or clears the box, `followed` when their journal was
  // opened, closed or changed. Whenever it is opened, it has to be ticked anew.
  constructor(journal, { chosen, followed }) {
    Object.assign(this, { journal, wished: false });
    $("practice-keep").addEventListener("change", ({ target }) => {
      this.wished = target.checked;
      chosen();
    });
    journal.changed = () => {
      if (!this.isOpen) this.wished = false;
      followed();
    };
  }

  get isOpen() {
    return Boolean(this.journal.overview);
  }

  // A target that only the model can judge needs the consent to that.
  allows({ measured }) {
    return this.isOpen && (measured || this.journal.overview.consent.emotion);
  }

  keeps(choice) {
    return this.wished && this.allows(choice);
  }

  mayInfer(choice) {
    return !this.keeps(choice) || this.journal.overview.consent.emotion;
  }

  describe(choice) {
    const [allowed, kept] = [this.allows(choice), this.keeps(choice)];
    $("practice-keep-line").hidden = !this.isOpen;
    Object.assign($("practice-keep"), { disabled: !allowed, checked: kept });
    if (this.isOpen) $("practice-keep-words").textContent = `Keep progress in ${this.journal.overview.name}'s journal`;
    $("practice-kept").textContent = kept ? KEPT : this.isOpen && !allowed ? NEEDS_MODEL : NOTHING;
    if (!kept) $("practice-progress").hidden = true;
  }

  stream(device) {
    return this.journal.client.stream(device);
  }

  // Reads what the journal holds by now, and shows what is alike: judged in the same way.
  async show(target, inferred) {
    const fresh = await this.journal.client.ask("").catch(() => null); // it is kept in any case
    if (!fresh || this.journal.overview?.id !== fresh.id) return;
    this.journal.overview = fresh;
    const alike = fresh.practised.filter((one) => one.target === target && one.inferred === inferred);
    const rows = alike.slice(-ROWS).reverse().map((one) => [whenWords(one.at), bestWords(one), String(one.n_takes)]);
    $("practice-progress").hidden = !rows.length;
    $("practice-progress").replaceChildren(
      make("h2", {}, "Your last sessions of this target"),
      make("p", { className: "soft small" }, `${target}, ${judgedWords({ inferred })}. Best: the mean of the best takes of each sentence.`),
      table("Your last sessions of this target", ["When", "Best", "Takes"], rows));
  }
}
