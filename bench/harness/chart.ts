/** Charts as SVG text, drawn by Vega without a browser: one look for benchmarks and studies. */
import type { TopLevelSpec } from 'vega-lite' with { 'resolution-mode': 'import' };

const look = {
  font: 'sans-serif',
  background: 'white',
  axis: { labelFontSize: 11, titleFontSize: 12, grid: true, gridOpacity: 0.4 },
  legend: { labelFontSize: 11, titleFontSize: 12 },
  title: { fontSize: 14 },
  // Okabe and Ito's palette, told apart by colour-blind readers.
  range: { category: ['#0072B2', '#E69F00', '#009E73', '#D55E00', '#CC79A7', '#56B4E9'] },
};

/** Draws a Vega-Lite specification; the same specification gives the same text. */
export async function renderSvg(spec: TopLevelSpec): Promise<string> {
  // Both packages are ES modules only.
  const [{ parse, View }, { compile }] = await Promise.all([import('vega'), import('vega-lite')]);
  const compiled = compile({ ...spec, config: { ...look, ...spec.config } } as TopLevelSpec);
  const view = new View(parse(compiled.spec), { renderer: 'none' });
  try {
    return `${await view.toSVG()}\n`;
  } finally {
    view.finalize();
  }
}
