"use strict";

// Filters of a page of rankings: a ranking stays where every choice is its own and some system has the word.
{
  const form = document.querySelector(".filters");
  const apply = () => {
    const word = form.elements.system.value.trim().toLowerCase();
    const choices = [...form.querySelectorAll("select")].filter((choice) => choice.value);
    let shown = 0;
    for (const board of document.querySelectorAll(".board")) {
      let any = false;
      for (const line of board.querySelectorAll("tbody tr")) {
        line.hidden = !line.dataset.system.includes(word);
        any ||= !line.hidden;
      }
      board.hidden = !any || choices.some((choice) => board.dataset[choice.name] !== choice.value);
      shown += !board.hidden;
    }
    form.querySelector("output").textContent = `${shown} ranking${shown === 1 ? "" : "s"}`;
  };
  if (form) {
    form.hidden = false;
    form.addEventListener("input", apply);
    form.addEventListener("change", apply);
    form.addEventListener("submit", (event) => event.preventDefault());
    // A permanent link to a row that a filter hides, shows it.
    addEventListener("hashchange", () => {
      const row = document.getElementById(decodeURIComponent(location.hash.slice(1)));
      if (row?.closest("[hidden]")) { form.reset(); apply(); row.scrollIntoView({ block: "center" }); }
    });
  }
}

