// The shapes that the chart's modules share; nothing here runs.

/**
 * A curve: `first` is the row of its first value.
 * @typedef {{ values: Float64Array, extremes: import("./decimate.js").Extremes, label: string, color: number, first?: number }} Series
 *
 * A labelled step. With `dot` it also lies on the first curve, in the colour of that number.
 * @typedef {{ step: number, label: string, dot?: number }} Mark
 *
 * @typedef {{ start: number, stop: number, name: string }} Phase
 *
 * Something drawn over the curves of the column `column`, by another module. `extent` gives the lowest and the highest value
 * that it draws in rows `from` up to but without `to`, so that the scale has room for them; null where it draws none.
 * @typedef {{ column: string, draw: (frame: Frame) => void, extent?: (from: number, to: number) => [number, number] | null }} Layer
 *
 * All that one chart shows: the curves of one column, over `rows` rows. A row stands for `stride` units of `axis`.
 * @typedef {{ name: string, series: Series[], rows: number, marks: Mark[], phases: Phase[], layers?: Layer[], x: string, y: string,
 *   stride: number, axis: string, unit: string }} Picture
 *
 * @typedef {{ left: number, top: number, right: number, bottom: number }} Box in CSS pixels
 * @typedef {{ place: (step: number) => number, step: (x: number) => number, ticks: number[] }} Across the scale of rows
 * @typedef {{ place: (value: number) => number, ticks: { at: number, text: string }[] }} Up the scale of values
 * @typedef {ReturnType<typeof import("./style.js").styleOf>} Style
 *
 * What is drawn on: a canvas' context, or the part of one that writes SVG.
 * @typedef {Pick<CanvasRenderingContext2D, "save" | "restore" | "rect" | "clip" | "beginPath" | "moveTo" | "lineTo" | "arc" | "setLineDash" | "stroke"
 *   | "fillRect" | "measureText" | "fillText" | "fillStyle" | "strokeStyle" | "lineWidth" | "lineJoin" | "font" | "textAlign" | "textBaseline">
 *   & { fill: () => void }} Pen
 *
 * What a drawing function is given: where and with what it draws. `ratio` is the device pixels in a CSS pixel.
 * @typedef {{ pen: Pen, picture: Picture, style: Style, box: Box, across: Across, up: Up, ratio: number }} Frame
 */

export {};
