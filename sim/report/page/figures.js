// @ts-check
/** How figures are written: short enough for their block, whatever they come to. */

const PREFIXES = ["", "k", "M", "G", "T", "P", "E"];

/**
 * @param {number} value not negative
 * @param {string} unit
 * @returns {string} four digits with a decimal prefix
 */
function withPrefix(value, unit) {
  let step = 0;
  // What would be rounded up to 1000 bears the next prefix.
  while (value >= 999.95 && step < PREFIXES.length - 1) {
    value /= 1000;
    step += 1;
  }
  const digits = value >= 100 ? 1 : value >= 10 ? 2 : 3;
  const number = step ? value.toFixed(digits) : String(Number(value.toFixed(digits)));
  return `${number} ${PREFIXES[step]}${unit}`.trimEnd();
}

/** @param {number} value */
function count(value) {
  const whole = Math.round(value);
  return whole < 10_000_000 ? whole.toLocaleString("en") : withPrefix(whole, "");
}

/** @type {Record<string, (value: number) => string>} Name of a format -> what writes a value. */
export const formats = {
  count,
  bytes: (value) => withPrefix(value, "B"),
  rate: (value) => withPrefix(value, "bit/s"),
  part: (value) => `${(100 * value).toFixed(2)} %`,
  seconds: (value) => {
    if (value >= 3600) {
      return `${Math.floor(value / 3600)} h ${Math.floor((value % 3600) / 60)} min`;
    }
    if (value >= 60) {
      return `${Math.floor(value / 60)} min ${(value % 60).toFixed(1)} s`;
    }
    return value >= 1 ? `${value.toFixed(3)} s` : `${(1e3 * value).toFixed(3)} ms`;
  },
};

/**
 * @param {any} status
 * @param {string} path such as `blocks.frames`
 * @returns {number | null} the figure, summed up if each partition has one; null if there is none
 */
export function figure(status, path) {
  const value = path.split(".").reduce((inner, name) => inner?.[name], status);
  if (Array.isArray(value)) {
    return value.reduce((sum, one) => sum + one, 0);
  }
  return typeof value === "number" ? value : null;
}
