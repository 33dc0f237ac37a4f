// The page for a class: the picture and what is in it, in large letters, on the whole screen. #class in the address opens it.

const HASH = "#class";
/** The pixels of the letters on the picture: readable from the last row, and fitting on a phone. */
export const largeLetters = (canvas) => Math.max(16, Math.min(36, canvas.clientWidth / 42));
const inClass = () => document.body.classList.contains("classroom");

/** Let the buttons enter and leave it; `changed` is called after each change. */
export function classroom(enter, leave, changed) {
  const set = (on) => {
    if (on === inClass()) return;
    document.body.classList.toggle("classroom", on);
    history.replaceState(null, "", on ? HASH : location.pathname + location.search);
    changed(on);
    (on ? leave : enter).focus({ preventScroll: true });
  };
  enter.addEventListener("click", () => {
    set(true);
    // phones may have no such thing: the page still fills the window
    document.documentElement.requestFullscreen?.().catch(() => {});
  });
  const end = () => {
    if (document.fullscreenElement) document.exitFullscreen();
    set(false);
  };
  leave.addEventListener("click", end);
  document.addEventListener("fullscreenchange", () => document.fullscreenElement || set(false));
  addEventListener("keydown", (event) => event.key === "Escape" && inClass() && end());
  if (location.hash === HASH) set(true);
}
