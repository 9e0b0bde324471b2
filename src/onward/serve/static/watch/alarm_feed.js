/** The alarms of one detector, as the server sends them. The feed reconnects when the connection is lost. */

import { RequestError, textChunks } from "../api.js";
import { Backoff } from "../backoff.js";

const SILENCE = 15_000; // milliseconds; the server sends a heartbeat every five seconds
const FIRST = 200; // incidents that are shown at the beginning

export class AlarmFeed {
  #api;
  #handlers;
  #running = null;
  #backoff = new Backoff();

  /** `handlers`: `onIncidents(incidents)` for the first ones, `onAlarms(alarms)`, `onReport(report)`, `onState(name)` and `onError(error | null)`. */
  constructor(api, handlers) {
    this.#api = api;
    this.#handlers = handlers;
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
        for await (const number of this.#read(detector, last, signal)) {
          last = number;
          failures = 0;
        }
      } catch (error) {
        if (signal.aborted) return;
        this.#handlers.onState("lost");
        this.#handlers.onError(error);
        if (!error.isTemporary) return;
        failures += 1;
        await this.#backoff.after(error, failures);
      }
    }
  }

  /** Tries again at once. */
  retry() {
    this.#backoff.end();
  }

  /** Yields the number of the last alarm after each event. Without a `last` alarm it begins with the latest incidents. */
  async *#read(detector, last, signal) {
    const model = encodeURIComponent(detector);
    let after = last;
    if (after === null) {
      const found = await this.#api.json("GET", `v1/watch/incidents?limit=${FIRST}&model=${model}`, undefined, signal);
      this.#handlers.onIncidents(found.data);
      after = found.last_alarm;
    }
    const silence = new AbortController();
    const either = AbortSignal.any([signal, silence.signal]);
    let timer = setTimeout(() => silence.abort(), SILENCE);
    try {
      const path = `v1/watch/alarms?stream=true&after=${after}&model=${model}`;
      const response = await this.#api.stream("GET", path, undefined, either);
      this.#handlers.onError(null);
      this.#handlers.onState("live");
      yield after;
      for await (const { kind, value } of events(textChunks(response, either))) {
        clearTimeout(timer);
        timer = setTimeout(() => silence.abort(), SILENCE);
        if (kind === "report") {
          this.#handlers.onReport(value);
          if (value.last_alarm < after) return yield null; // the detector's state is new: begin again
        } else if (kind === "message") {
          this.#handlers.onAlarms([value]);
          after = value.alarm;
        }
        yield after;
      }
    } catch (error) {
      throw silence.signal.aborted ? offline() : error;
    } finally {
      clearTimeout(timer);
      silence.abort();
    }
    throw offline();
  }
}

const offline = () => new RequestError("offline", "the server does not answer");

/** Yields server-sent events of JSON. A comment is an event of the kind "comment". */
async function* events(chunks) {
  let rest = "";
  for await (const chunk of chunks) {
    const blocks = (rest + chunk).split("\n\n");
    rest = blocks.pop();
    for (const block of blocks) {
      const fields = Object.fromEntries(block.split("\n").map((line) => line.split(/: (.*)/s, 2)));
      yield fields.data ? { kind: fields.event ?? "message", value: JSON.parse(fields.data) } : { kind: "comment" };
    }
  }
}
