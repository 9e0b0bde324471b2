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
  const silent = asked !== null && asked < detector.smallest_false_alarms;
  const open = report.flagged ? ["none has ended", `${count(report.flagged)} flagged before their ends`] : ["nothing judged yet", ""];
  return [
    ["False alarms asked", asked === null ? "none: top-k" : `${percent(asked, 2)} %`, silent ? `too low, nothing can be flagged; ${percent(detector.smallest_false_alarms, 2)} % is possible`
      : `calibrated on ${count(detector.calibration_sequences)} sequences`],
    ["Flagged", ...(share === null ? open : [`${percent(share, 2)} %`, `of ${count(report.sequences)} judged; ${low} to ${high} %`])],
    ["In flight", `${report.in_flight.toLocaleString("en")}`, "sequences that have not ended"],
    ["Events", report.records.toLocaleString("en"), report.unparsable ? `and ${report.unparsable.toLocaleString("en")} that could not be read` : ""],
    ["Drift", report.drift ? "seen" : "none is seen", report.odd_times ? `${report.odd_times.toLocaleString("en")} events with odd times` : ""],
  ];
};
