/** The step of a model in WebAssembly, compiled from the C code that onward itself runs (layers/kernels/step.c). */

const PAGE = 1 << 16; // bytes by which WebAssembly memory grows
const ALIGNMENT = 64; // as in export/program.py
const POINTERS = ["x", "y", "state", "more", "matrix", "scale", "bias"]; // of an operation, in this order
const SIZES = { operation: 72, step: 48, shares: 24, drawing: 32 }; // of the structs, in bytes

/** Most lanes of one step. Up to four lanes share each read of the weights. */
export const LANES = 8;

/** Steps lanes by one symbol each. The state of a lane is a Float32Array, which the caller keeps. */
export class Engine {
  #exports;
  #program;
  #places = {}; // of the structs and arrays
  #vectors; // the address of each vector, (LANES, size)

  /**
   * `wasm` and `weights` are bytes; `program` has the operations (see export/program.py). Rejects if this browser has
   * no WebAssembly with SIMD.
   */
  static async load(wasm, program, weights) {
    const { instance } = await WebAssembly.instantiate(wasm);
    return new Engine(instance.exports, program, weights);
  }

  constructor(exports, program, weights) {
    this.#exports = exports;
    this.#program = program;
    let end = exports.__heap_base.value;
    const reserve = (bytes) => {
      const place = Math.ceil(end / ALIGNMENT) * ALIGNMENT;
      end = place + bytes;
      return place;
    };
    const places = this.#places;
    for (const name of ["step", "shares", "drawing"]) places[name] = reserve(SIZES[name]);
    places.operations = reserve(SIZES.operation * program.operations.length);
    places.ids = reserve(8 * LANES);
    places.chances = reserve(8 * LANES);
    places.scratch = reserve(4 * program.symbols);
    this.#vectors = program.vectors.map((size) => reserve(4 * LANES * size));
    places.weights = reserve(weights.length);
    const { memory } = exports;
    memory.grow(Math.max(0, Math.ceil((end - memory.buffer.byteLength) / PAGE)));
    new Uint8Array(memory.buffer).set(weights, places.weights);
    this.#writeStructs();
  }

  /** The number of symbols, V. */
  get symbols() {
    return this.#program.symbols;
  }

  /** Returns the state before the first symbol. */
  emptyState() {
    const sizes = this.#program.states.map((vector) => this.#program.vectors[vector]);
    return new Float32Array(sizes.reduce((sum, size) => sum + size, 0));
  }

  /**
   * Reads one symbol in each lane. `states[lane]` becomes the state after it. Returns the logits of each lane, which
   * the next step overwrites.
   */
  step(states, ids) {
    this.#load(states, ids);
    if (this.#exports.onward_step(this.#places.shares)) throw wrongIds(ids, this.symbols);
    this.#store(states);
    return states.map((_, lane) => this.#vector(this.#program.logits, lane));
  }

  /**
   * Reads a symbol, and returns the one that was drawn to follow it. `chance` is a random number in [0, 1). Ids below
   * `never` are not drawn. A `temperature` of 0 takes the likeliest symbol.
   */
  write(state, id, { temperature, chance, never }) {
    this.#load([state], [id]);
    const view = new DataView(this.#exports.memory.buffer);
    const { drawing, chances, ids, shares } = this.#places;
    view.setFloat64(drawing, temperature, true);
    view.setBigInt64(drawing + 8, BigInt(this.symbols), true); // top_k
    view.setFloat64(drawing + 16, 1, true); // top_p
    view.setFloat64(drawing + 24, 0, true); // min_p
    view.setFloat64(chances, chance, true);
    const failed = this.#exports.onward_write(shares, drawing, BigInt(never));
    if (failed === 1) throw wrongIds([id], this.symbols);
    if (failed) throw new Error("the model's logits are not finite numbers");
    this.#store([state]);
    return Number(view.getBigInt64(ids, true));
  }

  /** Writes the structs of step.c. Their layout is that of C on 32 bits: 8 bytes for int64_t, 4 for a pointer. */
  #writeStructs() {
    const view = new DataView(this.#exports.memory.buffer);
    const places = this.#places;
    const integers = (place, ...values) => {
      values.forEach((value, i) => view.setBigInt64(place + 8 * i, BigInt(value), true));
    };
    const pointers = (place, ...values) => values.forEach((value, i) => view.setUint32(place + 4 * i, value, true));
    this.#program.operations.forEach((operation, i) => {
      const { kind, product = 0, rows = 0, columns = 0, number = 0, vectors, weights } = operation;
      const place = places.operations + SIZES.operation * i;
      integers(place, kind, product, rows, columns);
      pointers(place + 32, ...POINTERS.map((name) =>
        name in vectors ? this.#vectors[vectors[name]] : name in weights ? places.weights + weights[name] : 0));
      view.setFloat64(place + 64, number, true);
    });
    integers(places.step, this.#program.operations.length, 1, this.symbols);
    const logits = this.#vectors[this.#program.logits];
    pointers(places.step + 24, places.operations, places.ids, logits, places.chances, places.scratch);
    integers(places.shares, 1, 1);
    pointers(places.shares + 16, places.step);
  }

  /** Copies states and ids into the memory of the module. */
  #load(states, ids) {
    const lanes = states.length;
    if (!lanes || lanes > LANES) throw new RangeError(`expected 1 to ${LANES} lanes, got ${lanes}`);
    const view = new DataView(this.#exports.memory.buffer);
    view.setBigInt64(this.#places.step + 8, BigInt(lanes), true);
    states.forEach((state, lane) => {
      view.setBigInt64(this.#places.ids + 8 * lane, BigInt(ids[lane]), true);
      this.#eachPart(lane, (part, from, to) => part.set(state.subarray(from, to)));
    });
  }

  #store(states) {
    states.forEach((state, lane) => this.#eachPart(lane, (part, from) => state.set(part, from)));
  }

  /** Calls a function with each vector of a lane's state, and its range in the whole state. */
  #eachPart(lane, visit) {
    let at = 0;
    for (const number of this.#program.states) {
      const part = this.#vector(number, lane);
      visit(part, at, (at += part.length));
    }
  }

  #vector(number, lane) {
    const size = this.#program.vectors[number];
    return new Float32Array(this.#exports.memory.buffer, this.#vectors[number] + 4 * lane * size, size);
  }
}

const wrongIds = (ids, symbols) => new RangeError(`expected ids below ${symbols}, got ${ids}`);
