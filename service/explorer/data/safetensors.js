// Reads a safetensors file while it arrives: no second copy of it is in memory, and the page stays quick meanwhile.

const LENGTH = 8; // bytes before the header, which say how long it is

/**
 * @typedef {import("../kernel/table.js").Layout} Layout
 * @typedef {{ [column: string]: { data_offsets: [number, number] } } & { __metadata__?: Record<string, string> }} Header
 */

/** A column that is being filled: its bytes, and where they stand in the file. @typedef {{ start: number, bytes: Uint8Array }} Target */

/**
 * A table from its safetensors file: 8 bytes of length, a JSON header, then the values. The layout is what the file says.
 * @param {ReadableStream<Uint8Array>} stream
 * @returns {Promise<{ columns: Map<string, Float64Array>, layout: Layout }>}
 */
export async function columnsOf(stream) {
  const reader = stream.getReader();
  const { header, rest, at } = await headOf(reader);
  /** @type {Map<string, Float64Array>} */
  const columns = new Map();
  const { __metadata__: _, ...tensors } = header;
  const targets = Object.entries(tensors).map(([name, { data_offsets: [start, stop] }]) => {
    const values = new Float64Array((stop - start) / 8);
    columns.set(name, values);
    return { start: at + start, bytes: new Uint8Array(values.buffer) };
  });
  const end = Math.max(...targets.map(({ start, bytes }) => start + bytes.length));
  let place = at;
  for (let chunk = rest; ; ) {
    for (const target of targets) copy(target, chunk, place);
    place += chunk.length;
    const { done, value } = await reader.read();
    if (done) break;
    chunk = value;
  }
  if (place < end) throw new Error(`the table ended after ${place} of ${end} bytes`);
  const { axis = "step", stride = "1", after = "hold" } = header.__metadata__ ?? {}, names = [...columns.keys()].sort();
  const total_steps = columns.get(names[0])?.length ?? 0;
  return { columns, layout: { after, axis, columns: names, stride: Number(stride), total_steps } };
}

/** The header, the bytes that came after it, and their place in the file. @param {ReadableStreamDefaultReader<Uint8Array>} reader */
async function headOf(reader) {
  /** @type {Uint8Array} */
  let bytes = new Uint8Array(0);
  for (;;) {
    const { done, value } = await reader.read();
    if (done) throw new Error("the table ended in its header");
    const joined = new Uint8Array(bytes.length + value.length);
    joined.set(bytes);
    joined.set(value, bytes.length);
    bytes = joined;
    const at = bytes.length < LENGTH ? Infinity : LENGTH + Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    if (bytes.length >= at) {
      /** @type {Header} */
      const header = JSON.parse(new TextDecoder().decode(bytes.subarray(LENGTH, at)));
      return { header, rest: bytes.subarray(at), at };
    }
  }
}

/** Copy what a piece of the file has of a column. @param {Target} target @param {Uint8Array} chunk @param {number} place of the piece */
function copy({ start, bytes }, chunk, place) {
  const from = Math.max(start, place), to = Math.min(start + bytes.length, place + chunk.length);
  if (from < to) bytes.set(chunk.subarray(from - place, to - place), from - start);
}
