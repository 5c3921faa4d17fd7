// What comes first: the model behind the page, an access token where one is asked for, the tabs.

import { Client } from "./client.js";
import { deviceModel, isAlone, offerDevice, tellWhere } from "./device.js";
import { Recording } from "./file.js";
import { Journal } from "./journal.js";
import { Live } from "./live.js";
import { Practice } from "./practice.js";
import { $, notice, paint } from "./results.js";

async function open(token) {
  const client = new Client(document.baseURI, { token });
  const asked = await client.model().catch((error) => error);
  const model = asked instanceof Error ? undefined : asked;
  $("sign-in").hidden = asked.status !== 401;
  const unknown = token && "The server does not know this token.";
  const gone = `The server does not answer as it should (${asked.status || "not at all"}).`;
  notice("problem", model ? "" : asked.status === 401 ? unknown : gone);
  if (!model) return;
  begin(model, token, client);
  offerDevice(model);
}

// Without a server the model's card is a file beside the page.
async function openAlone() {
  const model = await deviceModel();
  notice("problem", model ? "" : "The files of this page are not complete. Reload it.");
  if (!model) return;
  begin(model, "", null);
  tellWhere();
}

// What needs a server, the journal, is there only with a `client` of it.
function begin(model, token, client) {
  $("model").textContent = `Model ${model.name} (${model.fingerprint}).`;
  $("product").hidden = false;
  paint(model.labels);
  new Live(model, token);
  new Recording(model, token);
  new Practice(client, model, token, client ? new Journal(model, token) : {});
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
    tab.addEventListener("click", () => choose(tab));
    tab.addEventListener("keydown", ({ key }) => {
      const shown = tabs.filter((one) => !one.hidden);
      const step = { ArrowRight: 1, ArrowLeft: -1 }[key];
      if (step) choose(shown.at((shown.indexOf(tab) + step) % shown.length));
    });
  }
}

$("sign-in").addEventListener("submit", (event) => {
  event.preventDefault();
  open($("token").value.trim());
});
if (isAlone) openAlone();
else open("");
