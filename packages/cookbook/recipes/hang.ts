import { subscribe } from "node:diagnostics_channel";
import { formatTree, snapshot, type StuckMessage } from "bough/inspect";

// `kill -USR2 <pid>` prints all live scopes and what they wait for.
process.on("SIGUSR2", () => console.error(formatTree(snapshot())));

// Reports tasks that have not ended within their scope's `grace` after a cancellation.
subscribe("bough:stuck", (message) => {
  for (const { path, age, waitingFor } of (message as StuckMessage).tasks) {
    console.error(`stuck: ${path}, ${age} ms old, waits for`, waitingFor);
  }
});
