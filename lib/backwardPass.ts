/** What kind of backward pass is running: code that runs inside of it may have to refuse. */
let selective = 0;

/** Runs a pass that wants the gradients of given tensors only. */
export function runSelective<T>(fn: () => T): T {
  ++selective;
  try {
    return fn();
  } finally {
    --selective;
  }
}

export function isSelectivePass(): boolean {
  return selective > 0;
}
