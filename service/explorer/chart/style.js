// The colours and dashes of the chart.

export const DASHES = [[], [7, 4], [2, 3], [9, 3, 2, 3], [12, 4], [4, 2], [1, 4], [6, 2, 1, 2]];

/** Colours of the style sheet, which knows dark mode and forced colours. @param {Element} node */
export function styleOf(node) {
  const style = getComputedStyle(node), of = (/** @type {string} */ name) => style.getPropertyValue(name).trim();
  /** @type {Record<string, string>} */
  const phases = { warmup: of("--rise"), rise: of("--rise"), stable: of("--hold"), decay: of("--fall") };
  return {
    font: style.fontFamily,
    text: of("--text"), soft: of("--soft"), grid: of("--grid"), axis: of("--axis"), mark: of("--mark"), paper: of("--paper"), selection: of("--selection"),
    phases,
    colors: Array.from({ length: 8 }, (_, n) => of(`--c${n}`)),
  };
}
