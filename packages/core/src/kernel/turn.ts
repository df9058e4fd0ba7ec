/**
 * Resolves after one turn of the event loop, in which timers, I/O and signals have been served. Taken when the package
 * is loaded: fake timers must not stop it. Not a timer: browsers make those wait for 4 ms.
 */
export const turn: () => Promise<void> = chooseTurn();

function chooseTurn(): () => Promise<void> {
  const { setImmediate, setTimeout, MessageChannel } = globalThis;
  if (typeof setImmediate === "function") return () => new Promise((resolve) => void setImmediate(resolve));
  if (typeof MessageChannel === "function") {
    return () =>
      new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        const onMessage = (): void => {
          port1.close();
          resolve();
        };
        Object.assign(port1, { onmessage: onMessage }); // the types of Node know no such property
        port2.postMessage(undefined);
      });
  }
  return () => new Promise((resolve) => setTimeout(resolve, 0));
}
