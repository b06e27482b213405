// Signed notes and checkpoints (C2SP `signed-note`, `tlog-checkpoint`), Ed25519.

import { b64Standard, concat, equal, fromB64Standard, utf8, utf8Length, type Bytes } from '../bytes';
import { sha256Bytes } from '../hash';
import { ed25519Verifies } from '../jws';
import { Refused } from '../refused';

const ED25519_TYPE = 0x01;
const NOTE_BYTES_MAX = 8 * 1024;

function isName(name: string): boolean {
  return /^[\x21-\x2a\x2c-\x7e]{1,128}$/.test(name);
}

/** A verifier key: the log's name and its Ed25519 public key, one line `NAME+HASH+KEY`. */
export class LogVerifier {
  readonly name: string;
  readonly key: Bytes;
  readonly id: Bytes;
  private constructor(name: string, key: Bytes) {
    this.name = name;
    this.key = key;
    this.id = sha256Bytes(name, '\n', Uint8Array.of(ED25519_TYPE), key).slice(0, 4);
  }
  static parse(line: string): LogVerifier | null {
    const [name, , ...rest] = line.split('+');
    // The base64 may hold a plus sign: only the first two divide.
    const bytes = fromB64Standard(rest.join('+'));
    if (!name || rest.length === 0 || bytes?.length !== 33 || bytes[0] !== ED25519_TYPE || !isName(name)) return null;
    const verifier = new LogVerifier(name, bytes.slice(1));
    return verifier.line() === line ? verifier : null;
  }
  line(): string {
    const id = [...this.id].map((b) => b.toString(16).padStart(2, '0')).join('');
    return `${this.name}+${id}+${b64Standard(concat(Uint8Array.of(ED25519_TYPE), this.key))}`;
  }
}

/** Size and root of a log, as its signer tells them. */
export interface Checkpoint {
  readonly origin: string;
  readonly size: number;
  readonly root: Bytes;
}

interface SignatureLine {
  readonly name: string;
  readonly id: Bytes;
  readonly signature: Bytes;
}

/** Checks a signed checkpoint of one log; signatures by others (witnesses) are passed over. Codes as in `log.json`. */
export async function verifyCheckpoint(note: string, log: LogVerifier): Promise<Checkpoint> {
  return (await verified(note, log)).checkpoint;
}
/** As `verifyCheckpoint`, for a note that carries the log's own signature and nothing else. */
export async function verifyCheckpointAlone(note: string, log: LogVerifier): Promise<Checkpoint> {
  const { checkpoint, signatures } = await verified(note, log);
  if (signatures !== 1) throw new Refused('note_form');
  return checkpoint;
}
async function verified(note: string, log: LogVerifier): Promise<{ checkpoint: Checkpoint; signatures: number }> {
  const { text, lines } = split(note);
  let signed = false;
  for (const line of lines) {
    const ours = line.name === log.name && equal(line.id, log.id);
    signed ||= ours && (await ed25519Verifies(log.key, utf8(text), line.signature));
  }
  if (!signed) throw new Refused('note_signature');
  const checkpoint = parse(text);
  if (checkpoint?.origin !== log.name) throw new Refused('note_checkpoint');
  return { checkpoint, signatures: lines.length };
}

/** Text with its last line feed, and signature lines. */
function split(note: string): { text: string; lines: SignatureLine[] } {
  const at = note.lastIndexOf('\n\n');
  if (utf8Length(note) > NOTE_BYTES_MAX || at < 0 || !note.endsWith('\n')) throw new Refused('note_form');
  // With nothing after the empty line its own last line feed would be taken for the end of a signature line.
  const rest = note.slice(at + 2);
  if (!rest.endsWith('\n')) throw new Refused('note_form');
  const lines = rest.slice(0, -1).split('\n').map(signatureLine);
  return { text: note.slice(0, at + 1), lines };
}
function signatureLine(line: string): SignatureLine {
  const match = /^\u2014 ([^ ]*) (.*)$/.exec(line);
  const bytes = match && fromB64Standard(match[2]!);
  if (!match || !bytes || bytes.length < 4 || !isName(match[1]!)) throw new Refused('note_form');
  return { name: match[1]!, id: bytes.slice(0, 4), signature: bytes.slice(4) };
}
/** Origin, size and root in one spelling, and no extension lines. */
function parse(text: string): Checkpoint | null {
  const [origin, digits, encoded] = text.split('\n');
  const root = encoded === undefined ? null : fromB64Standard(encoded);
  const size = Number(digits);
  if (!origin || !isName(origin) || root?.length !== 32 || !Number.isSafeInteger(size) || size < 0) return null;
  return `${origin}\n${size}\n${b64Standard(root)}\n` === text ? { origin, size, root } : null;
}
