// Keeps a page current: what is marked data-live is fetched again, and countdowns count. Works without it, by reloading.
"use strict";

const EVERY_MS = 5000;

function duration(seconds) {
  const two = (large, largeName, small, smallName) => {
    const rest = Math.floor((seconds % large) / small);
    return Math.floor(seconds / large) + " " + largeName + (rest ? " " + rest + " " + smallName : "");
  };
  if (seconds < 60) return seconds + " s";
  if (seconds < 3600) return two(60, "min", 1, "s");
  if (seconds < 86400) return two(3600, "h", 60, "min");
  return two(86400, "d", 3600, "h");
}

function count() {
  for (const each of document.querySelectorAll("time[data-until]")) {
    const seconds = Math.ceil((Date.parse(each.dateTime) - Date.now()) / 1000);
    each.textContent = seconds > 0 ? "in " + duration(seconds) : "due";
    each.classList.toggle("due", seconds <= 0);
  }
}

function isReading() {
  const selection = document.getSelection();
  return document.hidden || (selection && !selection.isCollapsed);
}

async function refresh() {
  if (isReading()) return;
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (answer.status === 401) return location.reload();
  if (isReading()) return;
  const fresh = new DOMParser().parseFromString(await answer.text(), "text/html");
  if (answer.ok && document.querySelector("[data-away]")) return location.reload();
  if (answer.ok) document.title = fresh.title;
  // What is shown stays when it can't be had anew; that it can't is said above it.
  for (const old of document.querySelectorAll(answer.ok ? "[data-live]" : "#banner")) {
    const replacement = fresh.getElementById(old.id);
    if (!replacement || replacement.innerHTML === old.dataset.sent) continue;
    const sent = replacement.innerHTML;
    const unfolded = new Map(Array.from(old.querySelectorAll("details[id]"), (each) => [each.id, each.open]));
    old.replaceWith(replacement);
    replacement.dataset.sent = sent;
    for (const each of replacement.querySelectorAll("details[id]")) {
      if (unfolded.has(each.id)) each.open = unfolded.get(each.id);
    }
  }
  count();
}

setInterval(count, 1000);
setInterval(() => refresh().catch(() => undefined), EVERY_MS);
