/* Beside the SVG of a figure: the same as PNG, drawn here on white, with two pixels for one. */
(() => {
  const save = async (svg) => {
    const picture = new Image();
    picture.src = svg;
    await picture.decode();
    const canvas = document.createElement("canvas");
    canvas.width = 2 * picture.naturalWidth;
    canvas.height = 2 * picture.naturalHeight;
    const context = canvas.getContext("2d");
    context.fillStyle = "#fff";
    context.fillRect(0, 0, canvas.width, canvas.height);
    context.drawImage(picture, 0, 0, canvas.width, canvas.height);
    const file = document.createElement("a");
    file.href = canvas.toDataURL("image/png");
    file.download = svg.split("/").pop().replace(/svg$/, "png");
    file.click();
  };
  addEventListener("DOMContentLoaded", () => {
    for (const link of document.querySelectorAll('.take-away a[href$=".svg"]')) {
      const png = link.cloneNode();
      png.textContent = "PNG";
      png.title = link.title.replace(/svg$/, "png");
      png.addEventListener("click", (event) => {
        event.preventDefault();
        /* In pages opened from a disk a browser lets no script read a picture: they have the SVG. */
        save(link.href).catch(() => link.click());
      });
      link.after(" · ", png);
    }
  });
})();
