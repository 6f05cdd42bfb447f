// The feed of changes: each part is waited for with fetch, so that the token can be sent, which EventSource cannot do.

import { messageOf } from "../common/dom.js";
import { TokenError, answered, request } from "../data/engine.js";

const WAIT = 25; // seconds that the server keeps a request for changes
const FIRST_PAUSE = 1, LONGEST_PAUSE = 30; // seconds before a new connection

const PASSING = new Set([408, 425, 429]); // refusals after which the same request may be taken

/** @typedef {import("./types.js").Change} Change */

/** Follows the changes of one run, or of all. While the tab is hidden it does not ask; it misses nothing. */
export class Feed {
  /** @param {(changes: Change[]) => void} heard no changes: what is known may be old @param {(text: string) => void} say how it goes */
  constructor(heard, say) {
    this.heard = heard;
    this.say = say;
    /** @type {AbortController | null} */
    this.aborter = null;
    /** @type {string | null} */
    this.run = null;
    this.wanted = false;
    /** @type {number | null} the number of the last change that was heard of */
    this.position = null;
    document.addEventListener("visibilitychange", () => (document.hidden ? this.pause() : this.go()));
  }

  /** @param {string | null} run @param {boolean} [wanted] */
  follow(run, wanted = true) {
    if (this.wanted === wanted && this.run === run) return;
    this.pause();
    Object.assign(this, { run, wanted, position: null });
    this.go();
  }

  pause() {
    this.aborter?.abort();
    this.aborter = null;
  }

  async go() {
    if (!this.wanted || this.aborter || document.hidden) return;
    const { signal } = (this.aborter = new AbortController());
    for (let pause = FIRST_PAUSE; !signal.aborted; ) {
      try {
        if (this.position === null) await this.begin(signal);
        this.say("live");
        const changes = await this.next(signal);
        if (signal.aborted) return;
        pause = FIRST_PAUSE;
        if (changes.length) this.heard(changes);
      } catch (error) {
        if (signal.aborted) return;
        const { status = 0, problem } = answered(error);
        if (error instanceof TokenError) return this.stop(`not live: ${error.message}`);
        if (problem?.code === "feed-replaced") this.position = null;
        else if (status >= 400 && status < 500 && !PASSING.has(status)) return this.stop(`not live: ${messageOf(error)}`);
        this.say(`not live: ${messageOf(error)}; the next attempt is in ${pause} s`);
        await waited(pause * (0.75 + Math.random() / 2), signal);
        pause = Math.min(2 * pause, LONGEST_PAUSE);
      }
    }
  }

  /** @param {string} text */
  stop(text) {
    this.pause();
    this.wanted = false;
    this.say(text);
  }

  get which() {
    return this.run ? `&run=${encodeURIComponent(this.run)}` : "";
  }

  /** Begin after the newest change: a stream of events tells its number before its first event. @param {AbortSignal} signal */
  async begin(signal) {
    const text = await (await request(`v1/events?wait=0${this.which}`, { signal })).text();
    this.position = Number(/^id: ?(\d+)$/m.exec(text)?.[1] ?? 0);
    this.heard([]);
  }

  /** The next changes; none if none come in time. @param {AbortSignal} signal @returns {Promise<Change[]>} */
  async next(signal) {
    /** @type {{ next: number, changes: Change[] }} */
    const found = await (await request(`v1/changes?since=${this.position}&wait=${WAIT}${this.which}`, { signal })).json();
    this.position = found.next;
    return found.changes;
  }
}

/** @param {number} seconds @param {AbortSignal} signal */
function waited(seconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}
