"use strict";
// Filters, sorts and expands the list of claims, and copies commands. Everything is readable without it.
(() => {
  const form = document.getElementById("controls");
  const list = document.getElementById("claims");
  const open = () => {
    const target = location.hash.length > 1 && document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (target && target.tagName === "DETAILS") {
      target.hidden = false;
      target.open = true;
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", open);
  open();
  document.addEventListener("click", async (event) => {
    const button = event.target.closest("button[data-copy]");
    if (!button) return;
    const said = button.firstChild;
    let copied = true;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
    } catch {
      const range = document.createRange();
      range.selectNodeContents(button.parentElement.querySelector("code"));
      getSelection().removeAllRanges();
      getSelection().addRange(range);
      copied = document.execCommand("copy");
    }
    said.textContent = copied ? "Copied" : "Selected";
    setTimeout(() => { said.textContent = "Copy"; }, 1500);
  });
  if (!form) return;
  form.hidden = false;
  const claims = [...list.children];
  const expand = document.getElementById("expand");
  const update = () => {
    const wanted = new Set([...form.querySelectorAll("[name=verdict]:checked")].map((box) => box.value));
    const section = form.elements.section.value;
    const key = form.elements.sort.value;
    const counts = new Map();
    let shown = 0;
    for (const claim of claims) {
      const { verdict } = claim.dataset;
      const here = section === "" || claim.dataset.section === section;
      if (here) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
      claim.hidden = !here || !wanted.has(verdict);
      if (!claim.hidden) shown += 1;
    }
    for (const chip of form.querySelectorAll(".chip")) {
      chip.querySelector(".count").textContent = counts.get(chip.querySelector("input").value) ?? 0;
    }
    claims.sort((a, b) => key === "title"
      ? a.dataset.title.localeCompare(b.dataset.title)
      : a.dataset[key] - b.dataset[key] || a.dataset.number - b.dataset.number);
    list.append(...claims);
    document.getElementById("shown").textContent = `${shown} of ${claims.length} claims`;
  };
  form.addEventListener("change", update);
  form.addEventListener("submit", (event) => event.preventDefault());
  expand.addEventListener("click", () => {
    const all = claims.every((claim) => claim.open || claim.hidden);
    for (const claim of claims) if (!claim.hidden) claim.open = !all;
    expand.textContent = all ? "Expand all" : "Collapse all";
  });
  update();
})();
