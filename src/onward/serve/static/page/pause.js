/** Waiting between two tries. */

const LONGEST = 8; // seconds

export class Pause {
  #end = () => {};

  /** Waits as long as the server asked for, or the longer the more tries have failed. */
  after(trouble, failures) {
    const seconds = trouble.seconds || Math.min(2 ** failures, LONGEST);
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, 1000 * seconds);
      this.#end = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }

  /** Ends the wait, if there is one. */
  end() {
    this.#end();
  }
}
