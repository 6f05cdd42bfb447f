// The feed of changes: each part is waited for with fetch, so that the token can be sent, which EventSource cannot do.

import { TokenError, request } from "../data/engine.js";

const WAIT = 25; // seconds that the server keeps a request for changes
const FIRST_PAUSE = 1, LONGEST_PAUSE = 30; // seconds before a new connection

const PASSING = new Set([408, 425, 429]); // refusals after which the same request may be taken

/** Follows the changes of one run, or of all. While the tab is hidden it does not ask; it misses nothing. */
export class Feed {
  /** @param {(changes: any[]) => void} heard no changes: what is known may be old @param {(text: string) => void} say how it goes */
  constructor(heard, say) {
    this.heard = heard;
    this.say = say;
    this.aborter = null;
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
        if (error instanceof TokenError) return this.stop("not live: " + error.message);
        if (error.problem?.code === "feed-replaced") this.position = null;
        else if (error.status >= 400 && error.status < 500 && !PASSING.has(error.status)) return this.stop("not live: " + error.message);
        this.say(`not live: ${error.message}; the next attempt is in ${pause} s`);
        await waited(pause * (0.75 + Math.random() / 2), signal);
        pause = Math.min(2 * pause, LONGEST_PAUSE);
      }
    }
  }

  stop(text) {
    this.pause();
    this.wanted = false;
    this.say(text);
  }

  get which() {
    return this.run ? `&run=${encodeURIComponent(this.run)}` : "";
  }

  /** Begin after the newest change: a stream of events tells its number before its first event. */
  async begin(signal) {
    const text = await (await request(`v1/events?wait=0${this.which}`, { signal })).text();
    this.position = Number(/^id: ?(\d+)$/m.exec(text)?.[1] ?? 0);
    this.heard([]);
  }

  /** The next changes; none if none come in time. */
  async next(signal) {
    const found = await (await request(`v1/changes?since=${this.position}&wait=${WAIT}${this.which}`, { signal })).json();
    this.position = found.next;
    return found.changes;
  }
}

function waited(seconds, signal) {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, seconds * 1000);
    signal.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve(undefined);
    });
  });
}
