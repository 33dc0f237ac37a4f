// What the model is worth, and how the machine is.
import { ask, pause } from "./talk.js";

const MACHINE_EVERY = 5000; // milliseconds

/** The verdict of the model's verification and its accuracy, as the text of a link to the report. */
export async function tellWorth(link) {
  const { report } = await (await ask("api/info")).json();
  const { map, protocol } = report.accuracy ?? {};
  const accuracy = map === undefined ? "accuracy not measured" : `mAP ${map.toFixed(2)} on ${protocol.pictures} pictures`;
  link.textContent = `verdict ${report.verdict} · ${accuracy}`;
  link.title = (report.warnings ?? []).join("; ");
  link.classList.toggle("careful", report.verdict !== "ok" || link.title !== "");
}

/** Keep a line about temperature and throttling up to date. It is hidden where the kernel says nothing. */
export async function watchMachine(line) {
  for (;;) {
    if (!document.hidden) {
      try {
        const { board, temperature, throttling } = await (await ask("api/machine", {}, 10)).json();
        const warm = temperature === null ? "" : `${Math.round(temperature)} °C`;
        const slowed = throttling ?? [];
        line.textContent = [[board, warm].filter(Boolean).join(", "), ...slowed].join("; ");
        line.hidden = temperature === null && throttling === null;
        line.classList.toggle("bad", slowed.some((each) => /\bnow\b/.test(each)));
      } catch {
        // the page says that the server doesn't answer
      }
    }
    await pause(MACHINE_EVERY);
  }
}
