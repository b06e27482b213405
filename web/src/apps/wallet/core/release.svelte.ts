/** A new release of this page that waits to be used. */
class Release {
  useIt = $state.raw<(() => void) | null>(null);
}
export const release = new Release();
