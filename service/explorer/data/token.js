// The token of the server: typed once, and kept for the tab only.

import { el, newId } from "../common/dom.js";
import { keepToken } from "./engine.js";

/**
 * A form for a token. What is typed is kept for the tab, and leaves the field; an empty one forgets the token.
 * @param {string} label @param {string} use text of its button @param {(isGiven: boolean) => void} used called once it is kept
 * @returns {HTMLFormElement}
 */
export function tokenForm(label, use, used) {
  const id = newId();
  const input = el("input", { id, type: "password", autocomplete: "off", placeholder: "lrt_…" });
  const name = el("input", { type: "text", autocomplete: "username", value: "token", hidden: true, tabindex: "-1" }); // password managers look for one
  const submit = (/** @type {SubmitEvent} */ event) => {
    event.preventDefault();
    const token = input.value.trim();
    input.value = "";
    keepToken(token);
    used(token !== "");
  };
  return el("form", { class: "asks", on: { submit } }, name, el("label", { for: id, class: "about" }, label), el("span", { class: "controls" }, input, el("button", { type: "submit" }, use)));
}
