/** Printed form of modules, laid out as PyTorch does. */
import type { Module } from './module';

function indent(text: string): string {
  return text.replace(/\n/g, '\n  ');
}

/** `Net(\n  (fc1): Linear(inFeatures=2, outFeatures=3, bias=true)\n)`. */
export function formatModule(
  module: Module,
  lines: readonly string[] = childLines(module),
): string {
  const { name } = module.constructor;
  const extra = module.extraRepr();
  const extraLines = extra === '' ? [] : extra.split('\n');
  if (extraLines.length + lines.length === 0) return `${name}()`;
  if (lines.length === 0 && extraLines.length === 1) return `${name}(${extra})`;
  return `${name}(\n  ${[...extraLines, ...lines].join('\n  ')}\n)`;
}

/** One entry for each submodule: `(name): text`. */
export function childLines(module: Module): string[] {
  return module
    .members()
    .children.map(
      ([name, child]) => `(${name}): ${indent(child === null ? 'null' : String(child))}`,
    );
}

/** As {@link childLines}, with runs of equal modules as `(0-5): 6 x Linear(...)`. */
export function listLines(items: readonly Module[]): string[] {
  const out: string[] = [];
  const texts = items.map((m) => String(m));
  for (let start = 0; start < texts.length;) {
    let end = start + 1;
    while (end < texts.length && texts[end] === texts[start]) ++end;
    const text = indent(texts[start] as string);
    out.push(
      end - start === 1 ? `(${start}): ${text}` : `(${start}-${end - 1}): ${end - start} x ${text}`,
    );
    start = end;
  }
  return out;
}
