// Keep the newest frame for the next training: as it came, with its boxes for a person to check.
import { post } from "./talk.js";

/** What to tell about it. */
export async function keepForTraining(threshold) {
  const kept = await (await post(`api/snapshot?${new URLSearchParams({ for: "training", threshold })}`)).json();
  const boxes = `${kept.detections} ${kept.detections === 1 ? "box" : "boxes"}`;
  return `${kept.kept} is kept on the Pi for training, with ${boxes} to check (${kept.pictures} of at most ${kept.most})`;
}
