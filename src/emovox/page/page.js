// What comes first: the model behind the page, an access token where one is asked for, the tabs.

import { Recording } from "./file.js";
import { Live } from "./live.js";
import { $, notice } from "./results.js";

async function open(token) {
  const headers = token ? { Authorization: `Bearer ${token}` } : {};
  const answer = await fetch("v1/model", { headers, cache: "no-store" }).catch(() => null);
  $("sign-in").hidden = answer?.status !== 401;
  const problems = { 200: "", 401: token && "The server does not know this token." };
  const gone = `The server does not answer as it should (${answer?.status ?? "not at all"}).`;
  notice("problem", problems[answer?.status] ?? gone);
  if (!answer?.ok) return;
  const model = await answer.json();
  $("model").textContent = `Model ${model.name} (${model.fingerprint}).`;
  $("product").hidden = false;
  new Live(model, token);
  new Recording(model, token);
  setUpTabs();
}

function setUpTabs() {
  const tabs = [...document.querySelectorAll("[role=tab]")];
  const choose = (chosen) => {
    for (const tab of tabs) {
      tab.ariaSelected = tab === chosen;
      tab.tabIndex = tab === chosen ? 0 : -1;
      $(tab.getAttribute("aria-controls")).hidden = tab !== chosen;
    }
    chosen.focus();
  };
  for (const tab of tabs) {
    const other = tabs.find((one) => one !== tab);
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", ({ key }) => key.startsWith("Arrow") && choose(other));
  }
}

$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  open($("token").value.trim());
});
open("");
