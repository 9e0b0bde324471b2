/** Random numbers from a seed (mulberry32). */

/** Returns a function that returns the next number in [0, 1). */
export const randomNumbers = (seed) => {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
};

/** Returns a seed that is different each time. */
export const randomSeed = () => crypto.getRandomValues(new Uint32Array(1))[0];
