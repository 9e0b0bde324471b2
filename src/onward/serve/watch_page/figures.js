/** What a watch has seen: the rate of false alarms that was asked for, the share that was flagged, drift. */

import { count, element, percent } from "../text.js";

/** Fills a description list from a report, and the place where drift is said. */
export const showFigures = (list, drift, report) => {
  list.replaceChildren();
  for (const [term, told, beside] of figuresOf(report)) {
    const group = element("div");
    const said = element("dd", "", told);
    if (beside) said.append(element("small", "", ` ${beside}`));
    group.append(element("dt", "", term), said);
    list.append(group);
  }
  drift.hidden = !report.drift;
  drift.textContent = report.drift ? report.drift.charAt(0).toUpperCase() + report.drift.slice(1) : "";
};

const figuresOf = (report) => {
  const { share_flagged: share, share_flagged_interval: interval, false_alarms_asked: asked, detector } = report;
  const [low, high] = (interval ?? [0, 0]).map((bound) => percent(bound, 2));
  return [
    ["False alarms asked", asked === null ? "none: top-k" : `${Number((100 * asked).toPrecision(2))} %`, `calibrated on ${count(detector.calibration_sequences)} sequences`],
    ["Flagged", share === null ? "nothing judged yet" : `${percent(share, 2)} %`, share === null ? "" : `of ${count(report.sequences)} judged; ${low} to ${high} %`],
    ["In flight", `${report.in_flight.toLocaleString("en")}`, "sequences that have not ended"],
    ["Records", report.records.toLocaleString("en"), report.unparsable ? `and ${report.unparsable.toLocaleString("en")} that could not be read` : ""],
    ["Drift", report.drift ? "seen" : "none is seen", report.odd_times ? `${report.odd_times.toLocaleString("en")} records with odd times` : ""],
  ];
};
