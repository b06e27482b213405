/** A new release of this page that waits to be used. */
export const release: { useIt: (() => void) | null } = $state({ useIt: null });
