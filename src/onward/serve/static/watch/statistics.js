/** The statistics of a detector: its false-alarm rate, the share of flagged sequences, drift. */

import { count, element, percent } from "../text.js";

/** Fills a description list, and the place for a report of drift. */
export const showStatistics = (list, drift, report) => {
  list.replaceChildren();
  for (const [term, value, note] of statisticsOf(report)) {
    const group = element("div");
    const description = element("dd", "", value);
    if (note) description.append(element("small", "", ` ${note}`));
    group.append(element("dt", "", term), description);
    list.append(group);
  }
  drift.hidden = !report.drift;
  drift.textContent = report.drift ? report.drift.charAt(0).toUpperCase() + report.drift.slice(1) : "";
};

const statisticsOf = (report) => {
  const { records, in_flight: open, unparsable: unreadable, odd_times: oddTimes } = report;
  return [
    ["False-alarm rate", ...rateOf(report)],
    ["Flagged", ...flaggedOf(report)],
    ...suppressedOf(report),
    ["Open sequences", open.toLocaleString("en"), ""],
    ["Events", records.toLocaleString("en"), unreadable ? `and ${unreadable.toLocaleString("en")} unreadable lines` : ""],
    ["Drift", report.drift ? "detected" : "none detected", oddTimes ? `${oddTimes.toLocaleString("en")} events with odd times` : ""],
  ];
};

const suppressedOf = ({ suppressed, budget }) =>
  suppressed ? [["Suppressed", count(suppressed), `flagged, but not reported, to keep the ${budget ? `budget of ${budget}` : "rate"}`]] : [];

const rateOf = ({ false_alarms_asked: rate, detector }) => {
  if (rate === null) return ["not set", "events outside the top k are flagged"];
  const smallest = detector.smallest_false_alarms;
  const note = rate < smallest
    ? `too low: nothing can be flagged below ${percent(smallest, 2)} %`
    : `calibrated on ${count(detector.calibration_sequences)} sequences`;
  return [`${percent(rate, 2)} %`, note];
};

const flaggedOf = ({ share_flagged: share, share_flagged_interval: interval, flagged, sequences }) => {
  if (share === null) return flagged ? [count(flagged), "open sequences; none has ended"] : ["none", "no sequence has ended"];
  const [low, high] = interval.map((bound) => percent(bound, 2));
  return [`${percent(share, 2)} %`, `of ${count(sequences)} sequences; 95 % interval: ${low} to ${high} %`];
};
