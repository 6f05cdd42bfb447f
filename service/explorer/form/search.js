// The search over kinds and recipes: a combobox that is used without a mouse.

import { el, fill, newId, prose } from "../common/dom.js";

const MOST = 60;
/** @type {Record<string, number>} */
const MOVES = { ArrowDown: 1, ArrowUp: -1, PageDown: 8, PageUp: -8 };

/**
 * @typedef {import("../common/types.js").Catalogue} Catalogue
 * @typedef {{ name: string, aliases: string[], about: string, group: string, href: string, text: string }} Found
 */

/** What can be found. @param {Catalogue} catalogue @returns {Found[]} */
export function entriesOf(catalogue) {
  const kinds = Object.entries(catalogue.kinds).map(([kind, entry]) => ({
    name: kind,
    aliases: entry.aliases,
    about: entry.summary,
    group: groupOf(kind),
    href: `#kind=${kind}`,
    text: `${kind} ${spaced(kind)} ${entry.description}`.toLowerCase(),
  }));
  const recipes = catalogue.recipes.map((recipe) => ({
    name: recipe.name,
    aliases: recipe.aliases,
    about: recipe.title,
    group: "recipes",
    href: `#recipe=${recipe.name}`,
    text: `${recipe.name} ${recipe.title} ${Object.values(recipe.source).join(" ")}`.toLowerCase(),
  }));
  return [...kinds, ...recipes];
}

/** The library of a kind, in words. @param {string} kind */
export function groupOf(kind) {
  const [library, name] = kind.split(".");
  return name === undefined ? "compose" : library;
}

/** Words of a name: CosineAnnealingLR, cosine_with_min_lr. @param {string} name */
function spaced(name) {
  return name.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[._-]/g, " ");
}

/**
 * The entries that have every word, the best first: those named so, then those that say so.
 * @param {Found[]} entries @param {string} query
 */
export function found(entries, query) {
  const words = query.toLowerCase().split(/\s+/).filter(Boolean);
  const ranked = entries.map((entry) => ({ score: rank(entry, words), entry })).filter(({ score }) => score >= 0);
  ranked.sort((a, b) => b.score - a.score); // stable, so the order of the catalogue stays
  return ranked.slice(0, MOST).map(({ entry }) => entry);
}

/** @param {Found} entry @param {string[]} words */
function rank(entry, words) {
  const name = entry.name.toLowerCase(), own = name.slice(name.lastIndexOf(".") + 1);
  let score = entry.aliases.includes(words.join("_")) ? 20 : 0;
  for (const word of words) {
    if (own === word || entry.aliases.some((alias) => alias.split("_").includes(word))) score += 8;
    else if (own.startsWith(word)) score += 5;
    else if (name.includes(word)) score += 4;
    else if (entry.about.toLowerCase().includes(word)) score += 2;
    else if (entry.text.includes(word)) score += 1;
    else return -1;
  }
  return score;
}

/** Why a scheduler that people look for is not here. @param {Catalogue} catalogue @param {string} query */
function whyNot({ no_schedules: others }, query) {
  const folded = (/** @type {string} */ name) => name.toLowerCase().replace(/[^a-z]/g, ""), wanted = folded(query);
  const name = wanted.length > 3 && Object.keys(others).find((each) => folded(each).startsWith(wanted));
  return name ? `${name} is no schedule: ${others[name]}` : null;
}

/**
 * Put the search into a place of the page.
 * @param {Element} place
 * @param {Catalogue} catalogue
 * @param {(href: string) => void} open what to do with the chosen entry's link
 */
export function addSearch(place, catalogue, open) {
  const entries = entriesOf(catalogue), listId = newId();
  const input = el("input", {
    id: "find", type: "text", role: "combobox", autocomplete: "off", spellcheck: "false",
    "aria-label": "Find a schedule or a recipe", "aria-expanded": "false", "aria-controls": listId, "aria-autocomplete": "list",
    placeholder: "Find a schedule or a recipe", "aria-keyshortcuts": "/",
  });
  const list = el("div", { id: listId, role: "listbox", "aria-label": "Schedules and recipes", hidden: true, tabindex: "-1" });
  const hint = el("kbd", { "aria-hidden": "true" }, "/");
  fill(place, input, hint, list);
  /** @type {Found[]} */
  let shown = [];
  let chosen = -1;

  function show() {
    shown = found(entries, input.value);
    fill(list, ...shown.flatMap(rows));
    if (!shown.length) list.append(el("div", { class: "none", role: "option", "aria-disabled": "true", "aria-selected": "false" }, whyNot(catalogue, input.value) ?? "Nothing has all of these words."));
    list.hidden = false;
    input.setAttribute("aria-expanded", "true");
    choose(input.value && shown.length ? 0 : -1);
  }

  /** @param {Found} entry @param {number} place */
  function rows(entry, place) {
    const heading = !input.value && entry.group !== shown[place - 1]?.group && el("div", { class: "group", role: "presentation" }, entry.group);
    const given = { href: entry.href, tabindex: "-1", id: `${listId}-${place}`, role: "option", "aria-selected": "false", data: { place } };
    return [heading, el("a", given, el("b", {}, entry.name, entry.aliases.length > 0 && el("i", {}, ` ${entry.aliases.join(", ")}`)), el("span", {}, ...prose(entry.about)))];
  }

  /** @param {number} place */
  function choose(place) {
    chosen = place;
    for (const row of /** @type {NodeListOf<HTMLElement>} */ (list.querySelectorAll("[data-place]"))) {
      const is = Number(row.dataset.place) === place;
      row.setAttribute("aria-selected", String(is));
      if (is) row.scrollIntoView({ block: "nearest" });
    }
    if (place < 0) input.removeAttribute("aria-activedescendant");
    else input.setAttribute("aria-activedescendant", `${listId}-${place}`);
  }

  function hide() {
    list.hidden = true;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  }

  /** @param {number} place */
  function take(place) {
    const entry = shown[place];
    if (!entry) return;
    input.value = "";
    hide();
    open(entry.href);
  }

  input.addEventListener("input", show);
  input.addEventListener("focus", show);
  input.addEventListener("click", () => list.hidden && show());
  input.addEventListener("blur", () => setTimeout(() => list.contains(document.activeElement) || hide(), 100));
  input.addEventListener("keydown", (event) => {
    const move = MOVES[event.key];
    if (move && shown.length) {
      event.preventDefault();
      if (list.hidden) show();
      const last = shown.length - 1, next = chosen + move;
      choose(Math.abs(move) > 1 ? Math.min(last, Math.max(0, next)) : next < 0 ? last : next > last ? 0 : next);
    } else if (event.key === "Enter") {
      event.preventDefault();
      take(Math.max(0, chosen));
    } else if (event.key === "Escape") {
      if (input.value) input.value = "";
      else input.blur();
      hide();
    }
  });
  list.addEventListener("mousedown", (event) => event.preventDefault()); // the input keeps the focus
  list.addEventListener("click", (event) => {
    const row = event.target instanceof Element ? /** @type {HTMLElement | null} */ (event.target.closest("[data-place]")) : null;
    if (!row || event.ctrlKey || event.metaKey || event.shiftKey) return; // a link, opened elsewhere
    event.preventDefault();
    take(Number(row.dataset.place));
  });
  return { focus: () => input.focus() };
}
