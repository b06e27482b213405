// A hand scanner types like a keyboard: many keys within a few milliseconds each, then Enter. A person does not.

const FASTEST_PERSON_MS = 35;
const SHORTEST = 4;

export class Wedge {
  private typed = '';
  private lastMs = 0;
  private readonly found: (text: string) => void;
  constructor(found: (text: string) => void) {
    this.found = found;
  }
  /** One key, when. True when it belongs to a scan and nobody else needs to see it. */
  key(key: string, atMs: number): boolean {
    const quick = this.typed !== '' && atMs - this.lastMs <= FASTEST_PERSON_MS;
    this.lastMs = atMs;
    if (key === 'Enter' || key === 'Tab') {
      const text = quick && this.typed.length >= SHORTEST ? this.typed : '';
      this.typed = '';
      if (text) this.found(text);
      return text !== '';
    }
    if (key.length !== 1) return false;
    this.typed = quick ? this.typed + key : key;
    return false;
  }
}

/** Listens everywhere but in fields, where a person types. */
export function listenForScanner(found: (text: string) => void): () => void {
  const wedge = new Wedge(found);
  const heard = (event: KeyboardEvent): void => {
    if (event.target instanceof HTMLInputElement || event.ctrlKey || event.metaKey || event.altKey) return;
    // A button that has the focus would take the Enter of the scan for a press.
    if (wedge.key(event.key, event.timeStamp)) event.preventDefault();
  };
  addEventListener('keydown', heard, true);
  return () => removeEventListener('keydown', heard, true);
}
