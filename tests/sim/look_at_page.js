// What the tests of the page ask it; `arguments` and `return` are those of the script that follows.

/** The text that is seen of an element. */
const text = (selector) => document.querySelector(selector).textContent.trim();

/** The elements of a diagram's group that are its own, not of a group inside. */
const own = (group, selector) =>
  [...group.querySelectorAll(selector)].filter((one) => one.closest(".block, .place") === group);

/** Block -> label -> figure: the figure that stands nearest below or behind its label. */
function figures() {
  const blocks = {};
  for (const group of document.querySelectorAll(".block, .place")) {
    const labels = own(group, ".label");
    for (const figure of own(group, ".figure")) {
      const at = figure.getBoundingClientRect();
      const distance = (label) => {
        const box = label.getBoundingClientRect();
        return Math.min(
          Math.hypot(box.left - at.left, box.bottom - at.top),
          Math.hypot(box.right - at.left, box.bottom - at.bottom),
        );
      };
      const label = labels.reduce((best, one) => (distance(one) < distance(best) ? one : best));
      const name = own(group, ".name").map((one) => one.textContent).join(" ");
      (blocks[name] ??= {})[label.textContent] = figure.textContent;
    }
  }
  return blocks;
}

/** Every text that is seen, with its box. */
function texts() {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const { currentNode: node } = walker;
    const holder = node.parentElement;
    const hidden = !holder.checkVisibility() || holder.closest("title, desc, script, noscript");
    if (node.textContent.trim() && !hidden) {
      const range = document.createRange();
      range.selectNodeContents(node);
      found.push({ holder, text: node.textContent.trim(), boxes: [...range.getClientRects()] });
    }
  }
  return found;
}

const inside = (box, outer) =>
  box.left >= outer.left && box.right <= outer.right && box.top >= outer.top && box.bottom <= outer.bottom;

/** What frames a text: the rectangle of its block, or the card or page that it is in. */
function frameOf(holder) {
  const group = holder.closest(".block, .place");
  const rectangle = group && own(group, "rect").at(-1);
  return rectangle ?? holder.closest("svg, td, th, dd, dt, figure, section, header, footer");
}

/** Texts that leave their frame, cover one another, or are wider than the page. */
function misplaced() {
  const wrong = [];
  const all = texts().flatMap(({ holder, text, boxes }) => boxes.map((box) => ({ holder, text, box })));
  for (const { holder, text, box } of all) {
    const frame = frameOf(holder).getBoundingClientRect();
    const slack = holder.closest("svg") ? 0 : 1;
    const roomy = new DOMRect(frame.x - slack, frame.y - 4, frame.width + 2 * slack, frame.height + 8);
    if (!inside(box, roomy)) {
      wrong.push(`${text} leaves its frame`);
    }
  }
  all.forEach((one, number) => {
    for (const other of all.slice(number + 1)) {
      const across = Math.min(one.box.right, other.box.right) - Math.max(one.box.left, other.box.left);
      const down = Math.min(one.box.bottom, other.box.bottom) - Math.max(one.box.top, other.box.top);
      // Lines of text may touch by what is above and below their letters.
      if (across > 0.5 && down > 4) {
        wrong.push(`${one.text} covers ${other.text}`);
      }
    }
  });
  const { scrollWidth, clientWidth } = document.documentElement;
  if (scrollWidth > clientWidth) {
    wrong.push(`the page is ${scrollWidth} wide in a window of ${clientWidth}`);
  }
  return wrong;
}

const channels = (colour) => colour.match(/[\d.]+/g).map(Number);

/** Relative luminance [WCAG 2.2]. */
function luminance(colour) {
  const [red, green, blue] = channels(colour).slice(0, 3).map((value) => {
    const part = value / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function groundOf(holder) {
  const group = holder.closest(".block, .place");
  const rectangle = group && own(group, "rect").at(-1);
  if (rectangle) {
    return getComputedStyle(rectangle).fill;
  }
  for (let one = holder; one; one = one.parentElement) {
    const ground = getComputedStyle(one).backgroundColor;
    if ((channels(ground)[3] ?? 1) === 1) {
      return ground;
    }
  }
  return "rgb(255, 255, 255)";
}

/** Texts whose contrast is below 4.5, as WCAG AA asks. */
function faint() {
  return texts().flatMap(({ holder, text }) => {
    const style = getComputedStyle(holder);
    const lights = [holder.closest("svg") ? style.fill : style.color, groundOf(holder)].map(luminance);
    const contrast = (Math.max(...lights) + 0.05) / (Math.min(...lights) + 0.05);
    return contrast < 4.5 ? [`${text}: ${contrast.toFixed(2)}`] : [];
  });
}
