// What comes first: the model behind the page, an access token where one is asked for, the tabs.

import { Client } from "./client.js";
import { deviceModel, isAlone, offerDevice, tellWhere } from "./device.js";
import { Recording } from "./file.js";
import { Live } from "./live.js";
import { $, notice } from "./results.js";

async function open(token) {
  const asked = await new Client(document.baseURI, { token }).model().catch((error) => error);
  const model = asked instanceof Error ? undefined : asked;
  $("sign-in").hidden = asked.status !== 401;
  const unknown = token && "The server does not know this token.";
  const gone = `The server does not answer as it should (${asked.status || "not at all"}).`;
  notice("problem", model ? "" : asked.status === 401 ? unknown : gone);
  if (!model) return;
  begin(model, token);
  offerDevice(model);
}

// Without a server the model's card is a file beside the page.
async function openAlone() {
  const model = await deviceModel();
  notice("problem", model ? "" : "The files of this page are not complete. Reload it.");
  if (!model) return;
  begin(model, "");
  tellWhere();
}

function begin(model, token) {
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
if (isAlone) openAlone();
else open("");
