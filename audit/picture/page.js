"use strict";
// Rows of the table are shown if they have all the words, and what the picture says of the others fades.
(() => {
  const input = document.getElementById("filter"), only = document.getElementById("only"), found = document.getElementById("found");
  const rows = [...document.querySelectorAll("#namespaces tbody tr")].map(row => ({row, text: row.textContent.toLowerCase()}));
  const drawn = document.querySelectorAll(".picture [data-namespace], .faults [data-namespace]");
  const apply = () => {
    const words = input.value.toLowerCase().split(/\s+/).filter(word => word);
    const shown = new Set();
    for (const {row, text} of rows) {
      const fits = words.every(word => text.includes(word)) && (!only.checked || row.classList.contains("wrong"));
      row.hidden = !fits;
      if (fits) shown.add(row.dataset.namespace);
    }
    for (const element of drawn) element.classList.toggle("dim", !shown.has(element.dataset.namespace));
    found.value = words.length || only.checked ? `${shown.size} of ${rows.length} namespaces` : "";
  };
  input.addEventListener("input", apply);
  only.addEventListener("change", apply);
  apply();
})();
