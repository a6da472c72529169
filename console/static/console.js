// Comfort for pages that work without it: times in the reader's zone, keys, search as you type, progress.
"use strict";

const recent = 183 * 86400e3;
const { root } = document.documentElement.dataset;

// The server shows dates of a query in this zone's days.
document.cookie = `zone=${-new Date().getTimezoneOffset()};SameSite=Strict;path=${root}`;

// Bookmarks of this run find the next one on this port by it (guard.py).
localStorage.setItem("root", root);

function localTimes(root) {
  for (const time of root.querySelectorAll("time[datetime]")) {
    const at = new Date(time.dateTime);
    time.title = at.toLocaleString(undefined, { dateStyle: "full", timeStyle: "short" });
    if ("age" in time.dataset) continue;
    const near = Math.abs(Date.now() - at) < recent;
    time.textContent = at.toLocaleString(undefined, near
      ? { day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" }
      : { day: "numeric", month: "short", year: "numeric" });
  }
}

async function fragment(url, signal) {
  const response = await fetch(url, { headers: { "X-Fragment": "1" }, signal });
  const text = await response.text();
  return new DOMParser().parseFromString(text, "text/html");
}

function put(place, found) {
  place.replaceChildren(...found.body.childNodes);
  enliven(place);
}

// What lists say once everything that has changed has been read; nothing else moves under the reader's hands.
async function refreshLists() {
  const response = await fetch(location.href, { headers: { "X-Background": "1" } });
  const found = new DOMParser().parseFromString(await response.text(), "text/html");
  for (const part of [".side", ".thumb", ".list", "[data-lists]"]) {
    const [old, fresh] = [document.querySelector(part), found.querySelector(part)];
    if (old && fresh && !old.contains(document.activeElement)) {
      old.replaceChildren(...fresh.childNodes);
      enliven(old);
    }
  }
}

// A part of a page that takes a while, or that is asked for again until it is done.
function load(place) {
  const { load: url, every } = place.dataset;
  setTimeout(async () => {
    try {
      const found = await fragment(url);
      if (!every) return put(place, found);
      const next = found.body.firstElementChild;
      place.replaceWith(next);
      if (next.dataset.load) load(next);
      else if (!place.id) await refreshLists();
      enliven(next.parentElement);
    } catch {
      place.textContent = "The console does not answer. Is it still running?";
    }
  }, Number(every || 0));
}

function searchAsYouType(field) {
  let waiting, asked = new AbortController();
  field.addEventListener("input", () => {
    clearTimeout(waiting);
    waiting = setTimeout(async () => {
      asked.abort();
      asked = new AbortController();
      const url = `${root}/search?q=${encodeURIComponent(field.value)}`;
      const place = document.querySelector(field.dataset.live);
      if (!place) return;
      try {
        const found = await fragment(url, asked.signal);
        const results = found.querySelector(field.dataset.live);
        history.replaceState(null, "", url);
        place.replaceChildren(...results.childNodes);
        enliven(place);
      } catch (error) {
        if (error.name !== "AbortError") location.assign(url);
      }
    }, 90);
  });
}

function enliven(root) {
  localTimes(root);
  for (const place of root.querySelectorAll("[data-load]:not([data-loading])")) {
    place.dataset.loading = "";
    load(place);
  }
}

// Keys

const visible = (one) => one.checkVisibility() && one.getClientRects().length > 0;
const rows = () => [...document.querySelectorAll("[data-row]")].filter(visible);

function move(by) {
  const all = rows();
  if (!all.length) return;
  const focused = document.activeElement?.closest("[data-row], .message")?.closest("[data-row]") ?? document.activeElement?.closest(".message")?.querySelector("[data-row]");
  const current = all.indexOf(focused);
  const from = current >= 0 ? current : all.findIndex((row) => row.hasAttribute("aria-current")) ;
  const next = all[Math.min(Math.max(from + by, 0), all.length - 1)];
  next.focus();
  next.scrollIntoView({ block: "nearest" });
}

function press(key) {
  const near = document.activeElement?.closest(".message") ?? document;
  const target = [...near.querySelectorAll(`[data-key="${key}"]`)].find(visible)
    ?? [...document.querySelectorAll(`[data-key="${key}"]`)].find(visible);
  if (!target) return false;
  target.click();
  target.closest("details")?.querySelector("form button, form input:not([type=hidden])")?.focus();
  return true;
}

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey) return;
  const open = document.querySelector("details.act[open]");
  if (event.key === "Escape" && open) {
    open.open = false;
    open.querySelector("summary").focus();
    return;
  }
  if (event.target.matches("input:not([type=checkbox]), textarea, select") || document.querySelector("dialog[open]")) {
    if (event.key === "Escape") event.target.blur();
    return;
  }
  const go = { i: `${root}/`, h: `${root}/held` };
  if (event.key === "j") move(1);
  else if (event.key === "k") move(-1);
  else if (event.key === "/") document.querySelector("[data-hotkey='/']").focus();
  else if (event.key === "?") document.querySelector("#keys").showModal();
  else if (go[event.key]) location.assign(go[event.key]);
  else if (!(event.key.length === 1 && press(event.key))) return;
  event.preventDefault();
});

// Pages

document.addEventListener("click", (event) => {
  const opener = event.target.closest("[data-opens]");
  if (opener) document.querySelector(opener.dataset.opens).showModal();
  for (const open of document.querySelectorAll("details.act[open]")) {
    if (!open.contains(event.target)) open.open = false;
  }
});

document.addEventListener("toggle", (event) => {
  if (event.target.matches("details.act") && event.newState === "open") {
    event.target.querySelector("form input:not([type=hidden]), form button")?.focus();
  }
}, true);

document.addEventListener("submit", (event) => {
  if (event.target.method !== "post") return;
  if (event.target.dataset.sent) return event.preventDefault();
  event.target.dataset.sent = "yes";
  event.submitter?.setAttribute("aria-busy", "true");
  const progress = document.createElement("progress");
  progress.setAttribute("aria-label", "Working");
  event.target.append(progress);
});

document.addEventListener("change", async (event) => {
  const { into } = event.target.dataset;
  const [file] = event.target.files ?? [];
  if (into && file) document.querySelector(into).value = await file.text();
});

window.addEventListener("pageshow", () => {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.querySelector("progress")?.remove();
    form.querySelector("[aria-busy]")?.removeAttribute("aria-busy");
  }
});

for (const field of document.querySelectorAll("[data-live]")) searchAsYouType(field);
enliven(document);
if (location.pathname === `${root}/search`) {
  const field = document.querySelector("[data-live]");
  field.focus();
  field.setSelectionRange(field.value.length, field.value.length);
}
