// @ts-check
/** Fills the page with what the run tells. */

import { figure, formats } from "./figures.js";
import { StripChart } from "./strip_chart.js";

/**
 * @typedef {object} Report
 * @property {string} run
 * @property {string} command
 * @property {string} place
 * @property {string} engine
 * @property {string[]} hosted
 * @property {"starting" | "running" | "ended"} state
 * @property {number | null} exit_code
 * @property {any} status
 */

const AGAIN_MS = 1000;

/** @param {string} selector @returns {HTMLElement} */
const find = (selector) => /** @type {HTMLElement} */ (document.querySelector(selector));
/** @param {string} selector @returns {HTMLElement[]} */
const findAll = (selector) => [...document.querySelectorAll(selector)].map((one) => /** @type {any} */ (one));

const figures = findAll("[data-figure]");
const paths = findAll("[data-moves]");
const charts = {
  simulated: new StripChart(find("[data-chart=simulated]"), formats.rate),
  wall: new StripChart(find("[data-chart=wall]"), formats.rate),
};

/** @type {Report | null} */
let shown = null;

/** @param {HTMLElement} element @param {string} text */
function write(element, text) {
  // What stays is not written again: a screen reader would read it again.
  if (element.textContent !== text) {
    element.textContent = text;
  }
}

/** @param {string} state @param {string} text */
function showState(state, text) {
  document.body.dataset.state = state;
  write(find("#state"), text);
}

/** @param {Report} report */
function stateText({ state, exit_code: code }) {
  if (state === "ended") {
    return code === null ? "Ended without a result" : `Ended, exit code ${code}`;
  }
  return state === "starting" ? "Starting; the first time it compiles" : "Running";
}

/** @param {Report} report */
function showRun({ command, place, engine, hosted }) {
  write(find("#command"), `${command} in ${place}, engine ${engine}`);
  document.title = `${command} – Byway live`;
  const several = hosted.length > 1;
  find(".hosted").classList.toggle("several", several);
  write(find("#hosted-name"), several ? `${hosted.length} hosted partitions` : "Hosted partition");
  find(".partitions").hidden = !several;
  find(".partitions tbody").replaceChildren(
    ...hosted.map((name) => {
      const row = document.createElement("tr");
      const head = document.createElement("th");
      head.scope = "row";
      head.textContent = name;
      row.append(head, ...["sent", "super_frames", "checksums_by_cpu"].map(() => document.createElement("td")));
      return row;
    }),
  );
}

/** @param {any} status */
function showPartitions(status) {
  findAll(".partitions tbody tr").forEach((row, number) => {
    const values = [status.sent, status.super_frames, status.checksums_by_cpu];
    [...row.querySelectorAll("td")].forEach((cell, column) => {
      write(cell, formats.count(values[column][number] ?? 0));
    });
  });
}

/** @param {any} status @param {any} before */
function showStatus(status, before) {
  for (const element of figures) {
    const { figure: path = "", format = "" } = element.dataset;
    const value = figure(status, path);
    write(element, value === null ? "–" : formats[format](value));
    element.classList.toggle("alarm", "alarm" in element.dataset && value !== null && value > 0);
  }
  for (const group of paths) {
    const path = group.dataset.moves ?? "";
    group.classList.toggle("moves", Boolean(before) && figure(status, path) !== figure(before, path));
  }
  if (status) {
    showPartitions(status);
  }
}

/** @param {any} status @param {any} before */
function addToCharts(status, before) {
  const wall = status.wall_seconds - before.wall_seconds;
  const simulated = status.simulated_seconds - before.simulated_seconds;
  const bits = 8 * (status.payload_bytes - before.payload_bytes);
  charts.wall.add(status.wall_seconds, wall > 0 ? bits / wall : 0);
  charts.simulated.add(status.wall_seconds, simulated > 0 ? bits / simulated : 0);
}

/** @param {Report} report */
function show(report) {
  if (shown?.run !== report.run) {
    shown = null;
    charts.simulated.clear();
    charts.wall.clear();
    showRun(report);
  }
  const before = shown?.status;
  showStatus(report.status, before);
  if (before && report.status.wall_seconds > before.wall_seconds) {
    addToCharts(report.status, before);
  }
  showState(report.state, stateText(report));
  if (report.state === "ended") {
    paths.forEach((group) => group.classList.remove("moves"));
  }
  shown = report;
}

function watch() {
  const source = new EventSource("status");
  source.onmessage = (event) => {
    const report = /** @type {Report} */ (JSON.parse(event.data));
    show(report);
    if (report.state === "ended") {
      source.close();
    }
  };
  source.onerror = () => {
    showState("lost", "No connection: the run was stopped, or will be back");
    paths.forEach((group) => group.classList.remove("moves"));
    if (source.readyState === EventSource.CLOSED) {
      setTimeout(watch, AGAIN_MS);
    }
  };
}

watch();
