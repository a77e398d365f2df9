// A number links to the cell that computed it, which is folded: unfold it for who follows the link.
(() => {
  const unfold = () => {
    const cell = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    const details = cell?.matches(".cell") && cell.querySelector("details.hide");
    if (details) {
      details.open = true;
      cell.scrollIntoView();
    }
  };
  addEventListener("hashchange", unfold);
  addEventListener("DOMContentLoaded", unfold);
})();
