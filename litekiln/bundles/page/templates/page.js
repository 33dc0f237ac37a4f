"use strict";
(() => {
  const slider = document.getElementById("threshold");
  const value = document.getElementById("threshold-value");
  const shown = () => {
    const least = Number(slider.value);
    value.textContent = least.toFixed(2);
    for (const panel of document.querySelectorAll(".panel")) {
      const names = [];
      for (const box of panel.querySelectorAll(".box")) {
        const below = Number(box.dataset.score) < least;
        box.classList.toggle("below", below);
        if (!below) names.unshift(box.dataset.name);
      }
      panel.querySelector(".list").textContent = names.join(", ") || "nothing";
    }
  };
  if (slider) {
    slider.closest(".slider").hidden = false;
    slider.addEventListener("input", shown);
    shown();
  }
  const opened = () => {
    const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = target && target.closest("details");
    if (details) {
      details.open = true;
      target.scrollIntoView();
    }
  };
  addEventListener("hashchange", opened);
  opened();
  addEventListener("beforeprint", () => {
    for (const each of document.querySelectorAll("details")) each.open = true;
  });
})();
