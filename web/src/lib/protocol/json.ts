// Strict JSON: what is refused here is refused everywhere. One object, no member twice at any depth, at most eight levels,
// whole numbers within ±2^53, UTF-8, nothing after the end. `JSON.parse` keeps the last of two members and rounds numbers,
// so that two readers could see two messages in the same bytes.

import { utf8, utf8Length, fromB64, type Bytes } from './bytes';
import { parseHash, type Hash } from './hash';
import { Refused, type Fault, type Kind } from './refused';

const DEPTH_MAX = 8;
const MEMBERS_MAX = 1024;
const INTEGER_MAX = 2 ** 53;
/** The last second of the year 9999. */
const SECONDS_MAX = 253_402_300_799;

/** A number that was written with a fraction or an exponent, or too large for an integer. */
export class Float {
  readonly value: number;
  constructor(value: number) {
    this.value = value;
  }
}
export type Value = null | boolean | number | string | Float | Value[] | Map<string, Value>;

export function parse(kind: Kind, bytes: Uint8Array): Members {
  const value = new Reader(kind, bytes).top();
  if (!(value instanceof Map)) throw Refused.of(kind, 'not_an_object');
  return new Members(kind, value);
}

const SHORT: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', '"': '"', '\\': '\\', '/': '/' };
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;

class Reader {
  private at = 0;
  private readonly kind: Kind;
  private readonly bytes: Uint8Array;
  constructor(kind: Kind, bytes: Uint8Array) {
    this.kind = kind;
    this.bytes = bytes;
  }

  top(): Value {
    const value = this.value(0);
    this.space();
    if (this.at < this.bytes.length) throw this.no('not_json');
    return value;
  }
  private no(fault: Fault): Refused {
    return Refused.of(this.kind, fault);
  }
  private space(): void {
    for (;;) {
      const b = this.bytes[this.at];
      if (b !== 0x20 && b !== 0x0a && b !== 0x0d && b !== 0x09) return;
      this.at++;
    }
  }
  /** The next byte that is no white space. */
  private peek(): number | undefined {
    this.space();
    return this.bytes[this.at];
  }
  private takes(char: string): boolean {
    if (this.peek() !== char.charCodeAt(0)) return false;
    this.at++;
    return true;
  }
  private word<T>(word: string, value: T): T {
    for (let i = 0; i < word.length; i++) {
      if (this.bytes[this.at++] !== word.charCodeAt(i)) throw this.no('not_json');
    }
    return value;
  }
  private value(depth: number): Value {
    switch (this.peek()) {
      case 0x7b:
        return this.object(depth);
      case 0x5b:
        return this.list(depth);
      case 0x22:
        return this.text();
      case 0x74:
        return this.word('true', true);
      case 0x66:
        return this.word('false', false);
      case 0x6e:
        return this.word('null', null);
      default:
        return this.number();
    }
  }
  private object(depth: number): Map<string, Value> {
    if (depth >= DEPTH_MAX) throw this.no('too_deep');
    this.at++;
    const members = new Map<string, Value>();
    if (this.takes('}')) return members;
    for (;;) {
      if (this.peek() !== 0x22) throw this.no('not_json');
      const name = this.text();
      if (members.has(name)) throw this.no('duplicate_member');
      if (members.size === MEMBERS_MAX) throw this.no('too_long');
      if (!this.takes(':')) throw this.no('not_json');
      members.set(name, this.value(depth + 1));
      if (this.takes('}')) return members;
      if (!this.takes(',')) throw this.no('not_json');
    }
  }
  private list(depth: number): Value[] {
    if (depth >= DEPTH_MAX) throw this.no('too_deep');
    this.at++;
    const items: Value[] = [];
    if (this.takes(']')) return items;
    for (;;) {
      const item = this.value(depth + 1);
      if (items.length === MEMBERS_MAX) throw this.no('too_long');
      items.push(item);
      if (this.takes(']')) return items;
      if (!this.takes(',')) throw this.no('not_json');
    }
  }
  private text(): string {
    const start = ++this.at;
    let escaped = false;
    for (;;) {
      const b = this.bytes[this.at];
      if (b === undefined || b < 0x20) throw this.no('not_json');
      if (b === 0x22) break;
      if (b === 0x5c) {
        escaped = true;
        this.at++;
      }
      this.at++;
    }
    const raw = this.decode(start, this.at++);
    return escaped ? this.unescape(raw) : raw;
  }
  private decode(from: number, to: number): string {
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(this.bytes.subarray(from, to));
    } catch {
      throw this.no('not_json');
    }
  }
  private unescape(raw: string): string {
    let out = '';
    for (let i = 0; i < raw.length; i++) {
      const char = raw[i]!;
      if (char !== '\\') {
        out += char;
        continue;
      }
      const next = raw[++i] ?? '';
      if (next === 'u') {
        const digits = raw.slice(i + 1, i + 5);
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw this.no('not_json');
        out += String.fromCharCode(parseInt(digits, 16));
        i += 4;
      } else {
        const short = SHORT[next];
        if (short === undefined) throw this.no('not_json');
        out += short;
      }
    }
    if (!isWellFormed(out)) throw this.no('not_json');
    return out;
  }
  private number(): Value {
    // Digits are ASCII, so that 400 bytes of the text are enough to see one number; longer ones are none of ours.
    const text = String.fromCharCode(...this.bytes.subarray(this.at, this.at + 400));
    NUMBER.lastIndex = 0;
    const match = NUMBER.exec(text);
    if (!match) throw this.no('not_json');
    this.at += match[0].length;
    const after = this.bytes[this.at];
    // `01`, `1.`: something of a number is left over.
    if (after !== undefined && /[0-9.eE+-]/.test(String.fromCharCode(after))) throw this.no('not_json');
    const value = Number(match[0]);
    if (!Number.isFinite(value)) throw this.no('not_json');
    if (match[1] !== undefined || match[2] !== undefined || Object.is(value, -0)) return new Float(value);
    const whole = BigInt(match[0]);
    if (whole >= -BigInt(INTEGER_MAX) && whole <= BigInt(INTEGER_MAX)) return value;
    if (whole >= -(2n ** 63n) && whole < 2n ** 64n) throw this.no('not_an_integer');
    return new Float(value);
  }
}

export function isWellFormed(text: string): boolean {
  return !/[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/.test(text);
}

/** No control characters, and none that turn the direction of writing: a merchant's name must not be able to rewrite the sentence around it. */
export function isPlain(text: string): boolean {
  return !/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]/.test(text);
}

/** The members of one object that nobody has taken yet. */
export class Members {
  readonly kind: Kind;
  private readonly map: Map<string, Value>;
  constructor(kind: Kind, map: Map<string, Value>) {
    this.kind = kind;
    this.map = map;
  }
  fault(fault: Fault): Refused {
    return Refused.of(this.kind, fault);
  }
  wrong(): Refused {
    return this.fault('wrong_member');
  }
  has(name: string): boolean {
    return this.map.has(name);
  }
  take(name: string): Value | undefined {
    const value = this.map.get(name);
    this.map.delete(name);
    return value;
  }
  private need(name: string): Value {
    const value = this.take(name);
    if (value === undefined) throw this.fault('missing_member');
    return value;
  }
  /** Refuses what nobody asked for. */
  end(): void {
    if (this.map.size > 0) throw this.fault('unknown_member');
  }

  /** Any text, control characters too, of so many bytes. */
  rawText(name: string, min: number, max: number): string {
    return this.parsed(name, (t) => (inside(utf8Length(t), min, max) ? t : null));
  }
  /** A text that people may read. */
  text(name: string, min: number, max: number): string {
    return this.parsed(name, (t) => (inside(utf8Length(t), min, max) && isPlain(t) ? t : null));
  }
  /** A text that must be exactly this one. */
  word(name: string, word: string, otherwise: Refused): void {
    const value = this.need(name);
    if (typeof value !== 'string') throw this.wrong();
    if (value !== word) throw otherwise;
  }
  bool(name: string): boolean {
    const value = this.need(name);
    if (typeof value !== 'boolean') throw this.wrong();
    return value;
  }
  /** `true` or absent: one form for each meaning. */
  optTrue(name: string): boolean {
    if (!this.has(name)) return false;
    if (this.bool(name)) return true;
    throw this.wrong();
  }
  int(name: string, min: number, max: number): number {
    return this.asInt(this.need(name), min, max);
  }
  asInt(value: Value, min: number, max: number): number {
    if (value instanceof Float) throw this.fault('not_an_integer');
    if (typeof value !== 'number' || !inside(value, min, max)) throw this.wrong();
    return value;
  }
  /** A number that may have a fraction; only positions inside sealed content have one. */
  float(name: string): number {
    const value = this.need(name);
    if (value instanceof Float) return value.value;
    if (typeof value === 'number') return value;
    throw this.wrong();
  }
  /** RFC 7519 `NumericDate`: whole seconds on the wire, milliseconds here. */
  timeMs(name: string): number {
    return this.int(name, 0, SECONDS_MAX) * 1000;
  }
  parsed<T>(name: string, read: (text: string) => T | null): T {
    const value = this.need(name);
    const out = typeof value === 'string' ? read(value) : null;
    if (out === null) throw this.wrong();
    return out;
  }
  optParsed<T>(name: string, read: (text: string) => T | null): T | null {
    return this.has(name) ? this.parsed(name, read) : null;
  }
  /** `null` or a text that `read` understands; the member itself is always there. */
  nullable<T>(name: string, read: (text: string) => T | null): T | null {
    if (this.map.get(name) === null) {
      this.map.delete(name);
      return null;
    }
    return this.parsed(name, read);
  }
  hash(name: string): Hash {
    return this.parsed(name, parseHash);
  }
  bytes(name: string, min: number, max: number): Bytes {
    return this.parsed(name, (t) => {
      const bytes = fromB64(t);
      return bytes && inside(bytes.length, min, max) ? bytes : null;
    });
  }
  values(name: string, min: number, max: number): Value[] {
    const value = this.need(name);
    if (!Array.isArray(value) || !inside(value.length, min, max)) throw this.wrong();
    return value;
  }
  list<T>(name: string, min: number, max: number, read: (text: string) => T | null): T[] {
    return this.values(name, min, max).map((v) => {
      const out = typeof v === 'string' ? read(v) : null;
      if (out === null) throw this.wrong();
      return out;
    });
  }
  object(name: string): Members {
    return this.asObject(this.need(name));
  }
  objects(name: string, min: number, max: number): Members[] {
    return this.values(name, min, max).map((v) => this.asObject(v));
  }
  private asObject(value: Value): Members {
    if (!(value instanceof Map)) throw this.fault('not_an_object');
    return new Members(this.kind, value);
  }
}

function inside(n: number, min: number, max: number): boolean {
  return n >= min && n <= max;
}

/** A JSON text in the one spelling of this protocol; `JSON.stringify` writes the same escapes for well-formed text. */
export function quoted(text: string): string {
  return JSON.stringify(text);
}

/** Writes one object with its members in the order of the calls, no white space. */
export class ObjectWriter {
  private readonly members: string[] = [];
  raw(name: string, json: string): this {
    this.members.push(`${quoted(name)}:${json}`);
    return this;
  }
  text(name: string, value: string): this {
    return this.raw(name, quoted(value));
  }
  opt(name: string, value: string | null): this {
    return value === null ? this : this.text(name, value);
  }
  nullable(name: string, value: string | null): this {
    return this.raw(name, value === null ? 'null' : quoted(value));
  }
  int(name: string, value: number): this {
    return this.raw(name, String(value));
  }
  bool(name: string, value: boolean): this {
    return this.raw(name, String(value));
  }
  timeMs(name: string, ms: number): this {
    return this.int(name, Math.floor(ms / 1000));
  }
  texts(name: string, values: readonly string[]): this {
    return this.raw(name, `[${values.map(quoted).join(',')}]`);
  }
  end(): string {
    return `{${this.members.join(',')}}`;
  }
  bytes(): Bytes {
    return utf8(this.end());
  }
}
