// Elements. Text is only ever set as text: names and errors come from links that anybody may have written.

/**
 * Make an element.
 * @param {string} tag
 * @param {Record<string, any>} [properties] attributes; `on` holds listeners by event, `data` a dataset
 * @param {...(Node | string | null | undefined | false)} children
 * @returns {any}
 */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === undefined || value === null || value === false) continue;
    if (name === "on") for (const [event, listener] of Object.entries(value)) made.addEventListener(event, listener);
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return made;
}

/**
 * A button that does something.
 * @param {string} text
 * @param {(event: Event) => void} act
 * @param {Record<string, any>} [properties]
 */
export function button(text, act, properties = {}) {
  return el("button", { type: "button", ...properties, on: { click: act } }, text);
}

/** Replace all children of a node. @param {Element} node @param {...any} children */
export function fill(node, ...children) {
  node.replaceChildren(...children.filter((child) => child !== null && child !== undefined && child !== false));
}

const keys = new WeakMap();

/**
 * Replace all children of a node if a key is another one than before. The control in focus keeps the focus by its place.
 * @param {Element} node @param {string} key @param {() => any[]} make
 */
export function refill(node, key, make) {
  if (keys.get(node) === key) return;
  keys.set(node, key);
  const controls = () => [...node.querySelectorAll("button, input, select")], place = controls().indexOf(document.activeElement);
  fill(node, ...make());
  if (place >= 0) controls()[Math.min(place, controls().length - 1)]?.focus();
}

/**
 * Call a function once, this long after the last request for it.
 * @param {(...given: any[]) => void} act
 * @param {number} milliseconds
 */
export function later(act, milliseconds) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), milliseconds);
  };
}

/** Say something to a screen reader, once things have been quiet for a moment. */
export const say = later((text) => {
  document.getElementById("live").textContent = text;
}, 250);

let ids = 0;

/** A new id for an element. */
export function newId() {
  return `e${++ids}`;
}

/** Text with names in backticks, as nodes. @param {string} text */
export function prose(text) {
  return text.split("`").map((part, place) => (place % 2 ? el("code", {}, part) : part));
}
