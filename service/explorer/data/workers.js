// A worker, and questions to it that are answered one by one.

/** An error of a spec: a sentence, and the JSON pointer of the field it is about, if it is about one. */
export class RefusedError extends Error {
  /** @param {string} message @param {string | null} pointer */
  constructor(message, pointer = null) {
    super(message);
    this.pointer = pointer;
  }
}

/** A worker that answers. */
export class Link {
  /** @param {Worker} worker */
  constructor(worker) {
    this.worker = worker;
    /** @type {Map<number, [(answer: any) => void, (error: Error) => void]>} */
    this.asked = new Map();
    this.id = 0;
    worker.onmessage = ({ data }) => this.settle(data);
    worker.onerror = (event) => this.fail(event.message || "the worker ended");
  }

  /** A link to a worker, once it runs. In the static page it is the page's own script, since `file://` loads no other. */
  static async start() {
    const program = document.getElementById("program");
    const url = program ? URL.createObjectURL(new Blob([program.textContent ?? ""], { type: "text/javascript" })) : new URL("explorer/worker.js", document.baseURI);
    const worker = new Worker(url, { type: program ? "classic" : "module" });
    await new Promise((resolve, reject) => {
      worker.onmessage = resolve;
      worker.onerror = reject;
    });
    return new Link(worker);
  }

  /** @param {any} message @param {Transferable[]} [given] what the page gives away @returns {Promise<any>} */
  ask(message, given = []) {
    return new Promise((resolve, reject) => {
      const id = ++this.id;
      this.asked.set(id, [resolve, reject]);
      this.worker.postMessage({ ...message, id }, given);
    });
  }

  /** @param {{ id: number, answer?: any, error?: { message: string, pointer: string | null } }} data */
  settle({ id, answer, error }) {
    const [resolve, reject] = this.asked.get(id) ?? [];
    this.asked.delete(id);
    if (error) reject?.(new RefusedError(error.message, error.pointer));
    else resolve?.(answer);
  }

  /** @param {string} message */
  fail(message) {
    for (const [, reject] of this.asked.values()) reject(new Error(message));
    this.asked.clear();
  }

  /** End the worker, and free its memory. */
  end() {
    this.worker.terminate();
    this.fail("the worker ended");
  }
}

/** A worker for questions of which only the newest counts: one that is still open then ends with its worker. */
export class Newest {
  constructor() {
    /** @type {Promise<Link> | undefined} */
    this.started = undefined;
    this.isBusy = false;
  }

  /** @param {any} message @returns {Promise<any>} */
  async ask(message) {
    this.stop();
    const started = (this.started ??= Link.start());
    this.isBusy = true;
    try {
      const link = await started;
      return await link.ask(message);
    } finally {
      if (this.started === started) this.isBusy = false;
    }
  }

  /** Give up the question that is open, if one is. */
  stop() {
    if (!this.isBusy) return;
    this.started?.then((link) => link.end(), () => {});
    this.started = undefined;
    this.isBusy = false;
  }
}
