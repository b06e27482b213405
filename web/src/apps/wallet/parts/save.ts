/** Hands a file to whoever sits here. */
export function saveFile(name: string, content: Uint8Array<ArrayBuffer> | string): void {
  const url = URL.createObjectURL(new Blob([content], { type: 'application/json' }));
  const link = document.createElement('a');
  link.href = url;
  link.download = name;
  link.click();
  // The browser needs it a moment longer than this call.
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
