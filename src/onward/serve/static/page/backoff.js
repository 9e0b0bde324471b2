/** The wait between two attempts. */

const LONGEST = 8; // seconds

export class Backoff {
  #end = () => {};

  /** Waits as long as the server asked for, or else longer after each failure. */
  after(error, failures) {
    const seconds = error.seconds || Math.min(2 ** failures, LONGEST);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000 * seconds);
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends the current wait, if there is one. */
  end() {
    this.#end();
  }
}
