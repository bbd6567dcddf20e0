/** Warnings: through Node's channel, each text once. */
const given = new Set<string>();

/** Emits a warning of this kind, unless the same text was emitted before. */
export function warnOnce(type: string, message: string): void {
  if (given.has(message)) return;
  given.add(message);
  process.emitWarning(message, { type });
}
