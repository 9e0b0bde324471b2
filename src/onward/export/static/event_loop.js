/** Long work in slices, so that the page reacts to keys and draws meanwhile. */

const SLICE = 8; // milliseconds

const channel = new MessageChannel();
const waiting = [];
channel.port1.onmessage = () => waiting.shift()();

/** Returns a function to await often: it interrupts the work once a slice is over, and then returns true. */
export const yielder = () => {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < SLICE) return false;
    await new Promise((resolve) => {
      waiting.push(resolve);
      channel.port2.postMessage(null); // setTimeout would wait for 4 milliseconds
    });
    since = performance.now();
    return true;
  };
};
