/* A click enlarges a figure; on a narrow page, a wide one scrolls with legible labels. */
"use strict";
document.addEventListener("DOMContentLoaded", () => {
  const dialog = document.createElement("dialog");
  dialog.className = "zoomed";
  dialog.addEventListener("click", () => dialog.close());
  document.body.append(dialog);

  for (const image of document.querySelectorAll(".bd-article .cell_output img, .bd-article figure img")) {
    if (image.closest("a, button, .skfm-skulls")) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.className = "zoom";
    button.title = "Enlarge";
    image.replaceWith(button);
    button.append(image);
    button.addEventListener("click", () => {
      const large = new Image();
      Object.assign(large, { src: image.src, alt: image.alt, className: image.className });
      dialog.replaceChildren(large);
      dialog.showModal();
    });
    const natural = parseFloat(image.style.width);
    if (natural) image.style.setProperty("--legible", `${natural * (natural > 500 ? 0.88 : 0.75)}px`);
  }
});
