/** A message by a code from outside; undefined for one that the catalogue does not know. */
export function pick(messages: object, code: string | null | undefined): string | undefined {
  if (!code || !Object.hasOwn(messages, code)) return undefined;
  const found = (messages as Record<string, unknown>)[code];
  return typeof found === 'string' ? found : undefined;
}
