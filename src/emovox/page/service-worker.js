// All files of the page, kept at the first visit: it then works offline. `emovox page` writes
// VERSION and FILES before this; another version is fetched whole, and used from the next visit on.

const PREFIX = `emovox-${new URL(registration.scope).pathname}-`; // of this page, not of another
const CACHE = PREFIX + VERSION;

addEventListener("install", (event) => {
  const anew = FILES.map((file) => new Request(file, { cache: "no-cache" }));
  event.waitUntil(caches.open(CACHE).then((cache) => cache.addAll(anew)));
});

addEventListener("activate", (event) => event.waitUntil(begin()));

async function begin() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith(PREFIX) && name !== CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await clients.claim();
}

addEventListener("fetch", (event) => {
  const { request } = event;
  if (request.method === "GET" && new URL(request.url).origin === location.origin)
    event.respondWith(answer(request));
});

async function answer(request) {
  const cache = await caches.open(CACHE);
  const found = await cache.match(request, { ignoreSearch: true });
  const index = request.mode === "navigate" ? await cache.match("./") : undefined;
  return found ?? index ?? fetch(request);
}
