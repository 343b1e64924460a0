"use strict";
const live = document.getElementById("live");
let closed = new Set(), opened = new Set();

// What somebody folded or unfolded stays so when the part around it is replaced.
live.addEventListener("toggle", (event) => {
  const key = event.target.dataset.key;
  if (!key) return;
  (event.target.open ? opened : closed).add(key);
  (event.target.open ? closed : opened).delete(key);
}, true);

function show(text, tag) {
  const next = document.createElement("main");
  next.innerHTML = text;
  for (const part of next.querySelectorAll("details[data-key]")) {
    if (opened.has(part.dataset.key)) part.open = true;
    if (closed.has(part.dataset.key)) part.open = false;
  }
  const focused = document.activeElement?.value, inside = live.contains(document.activeElement);
  live.replaceChildren(...next.childNodes);
  live.dataset.tag = tag;
  if (inside && focused) [...live.querySelectorAll("button")].find((b) => b.value === focused)?.focus({preventScroll: true});
}

async function refresh() {
  try {
    const answer = await fetch("live?tag=" + encodeURIComponent(live.dataset.tag));
    if (answer.status === 200) show(await answer.text(), answer.headers.get("X-Tag"));
    document.body.classList.toggle("away", !answer.ok);
  } catch {
    document.body.classList.add("away");
  }
}

async function poll() {
  if (!document.hidden) await refresh();
  setTimeout(poll, 1000);
}

// Without this script the forms work too: they come back to the page.
document.addEventListener("submit", async (event) => {
  event.preventDefault();
  const form = event.target, button = event.submitter;
  if (button.dataset.confirm && !confirm(button.dataset.confirm)) return;
  const body = new URLSearchParams(new FormData(form, button));
  button.disabled = true;
  try {
    const answer = await fetch(button.getAttribute("formaction") ?? form.getAttribute("action"), {method: "POST", body, redirect: "manual"});
    if (answer.type !== "opaqueredirect" && !answer.ok) alert(await answer.text());
  } finally {
    button.disabled = false;
    refresh();
  }
});

setTimeout(poll, 1000);
