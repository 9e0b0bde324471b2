/** The alarms of one detector as the server tells of them, whatever becomes of the connection. */

import { decoded, Trouble } from "../api.js";
import { Pause } from "../pause.js";

const SILENCE = 15_000; // milliseconds; the server gives a sign of life every five seconds
const FIRST = 200; // alarms that were raised before

export class Feed {
  #api;
  #told;
  #running = null;
  #pause = new Pause();

  /** `told`: `alarms(list, anew)`, `report(report)`, `state(name)` and `troubled(trouble | null)` are called. */
  constructor(api, told) {
    this.#api = api;
    this.#told = told;
  }

  /** Follows a detector from now on, and no other. */
  async follow(detector) {
    this.#running?.abort();
    this.#running = new AbortController();
    const { signal } = this.#running;
    let last = null;
    let failures = 0;
    while (!signal.aborted) {
      try {
        for await (const number of this.#heard(detector, last, signal)) {
          last = number;
          failures = 0;
        }
      } catch (trouble) {
        if (signal.aborted) return;
        this.#told.state("lost");
        this.#told.troubled(trouble);
        if (!["gone", "busy"].includes(trouble.kind)) return; // waiting would not help
        failures += 1;
        await this.#pause.after(trouble, failures);
      }
    }
  }

  /** Tries at once what it was about to try later. */
  retry() {
    this.#pause.end();
  }

  /** The number of the last alarm, each time that something was heard; first the alarms from before are told. */
  async *#heard(detector, last, signal) {
    const model = encodeURIComponent(detector);
    let after = last;
    if (after === null) {
      const found = await this.#api.json("GET", `v1/watch/alarms?limit=${FIRST}&model=${model}`, undefined, signal);
      this.#told.alarms(found.data, true);
      after = found.last;
    }
    const silence = new AbortController();
    const both = AbortSignal.any([signal, silence.signal]);
    let timer = setTimeout(() => silence.abort(), SILENCE);
    try {
      const path = `v1/watch/alarms?stream=true&after=${after}&model=${model}`;
      const response = await this.#api.send("GET", path, undefined, both);
      this.#told.troubled(null);
      this.#told.state("live");
      yield after;
      for await (const { kind, value } of events(decoded(response, both))) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE);
        if (kind === "report") {
          this.#told.report(value);
          if (value.last_alarm < after) return yield null; // another watch, which began anew
        } else if (kind === "message") {
          this.#told.alarms([value], false);
          after = value.alarm;
        }
        yield after;
      }
    } catch (trouble) {
      throw silence.signal.aborted ? gone() : trouble;
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
    throw gone();
  }
}

const gone = () => new Trouble("gone", "the server does not answer");

/** Server-sent events of JSON; comments are events of the kind "comment". */
async function* events(pieces) {
  let rest = "";
  for await (const piece of pieces) {
    const blocks = (rest + piece).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      yield fields.data ? { kind: fields.event ?? "message", value: JSON.parse(fields.data) } : { kind: "comment" };
    }
  }
}
