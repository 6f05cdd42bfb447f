// Elements. Text is only ever set as text: names and errors come from links that anybody may have written.

/**
 * @typedef {Node | string | null | undefined | false} Child what is no node or text is left out
 * @typedef {{ [E in keyof HTMLElementEventMap]?: (event: HTMLElementEventMap[E]) => void }} Listeners
 * @typedef {{ on?: Listeners, data?: Record<string, string | number>, value?: string | number, [attribute: string]: unknown }} Properties
 * attributes; `on` holds listeners by event, `data` a dataset
 */

/**
 * Make an element.
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Properties} [properties]
 * @param {...Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, properties = {}, ...children) {
  const made = document.createElement(tag), { on = {}, data = {}, value: present, ...attributes } = properties;
  for (const [event, listener] of Object.entries(on)) made.addEventListener(event, /** @type {EventListener} */ (listener));
  for (const [name, value] of Object.entries(data)) made.dataset[name] = String(value);
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined && value !== null && value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  if (present !== undefined) Object.assign(made, { value: present });
  made.append(...shown(children));
  return made;
}

/** @param {Child[]} children */
function shown(children) {
  return children.filter((child) => child !== null && child !== undefined && child !== false);
}

/** An element of the page itself. @param {string} id */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found;
}

/**
 * A button that does something.
 * @param {string} text
 * @param {(event: MouseEvent) => void} act
 * @param {Properties} [properties]
 */
export function button(text, act, properties = {}) {
  return el("button", { type: "button", ...properties, on: { click: act } }, text);
}

/** Replace all children of a node. @param {Element} node @param {...Child} children */
export function fill(node, ...children) {
  node.replaceChildren(...shown(children));
}

/** @type {WeakMap<Element, string>} */
const keys = new WeakMap();

/**
 * Replace all children of a node if a key is another one than before. The control in focus keeps the focus by its place.
 * @param {Element} node @param {string} key @param {() => Child[]} make
 */
export function refill(node, key, make) {
  if (keys.get(node) === key) return;
  keys.set(node, key);
  /** @returns {(Element & HTMLOrSVGElement)[]} */
  const controls = () => [...node.querySelectorAll("button, input, select")].filter((found) => found instanceof HTMLElement);
  const place = controls().findIndex((control) => control === document.activeElement);
  fill(node, ...make());
  if (place >= 0) controls()[Math.min(place, controls().length - 1)]?.focus();
}

/**
 * Call a function once, this long after the last request for it.
 * @template {unknown[]} Given
 * @param {(...given: Given) => void} act
 * @param {number} milliseconds
 * @returns {(...given: Given) => void}
 */
export function later(act, milliseconds) {
  let timer = 0;
  return (...given) => {
    clearTimeout(timer);
    timer = setTimeout(() => act(...given), milliseconds);
  };
}

/** Say something to a screen reader, once things have been quiet for a moment. @type {(text: string) => void} */
export const say = later((text) => {
  byId("live").textContent = text;
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

/** What an error says. @param {unknown} error whatever was thrown */
export function messageOf(error) {
  return error instanceof Error ? error.message : String(error);
}

/** Say an error at a field, or take it back. @param {{ control: HTMLElement, error: HTMLElement }} field @param {string | null} text */
export function fail({ control, error }, text) {
  error.textContent = text ?? "";
  if (control.matches("input, select")) control.setAttribute("aria-invalid", String(Boolean(text)));
}
