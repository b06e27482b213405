// Registers the app's service worker, and says when a new release waits.

/** Calls `onWaiting` with a function that switches to the new release; the page chooses the moment. */
export async function registerServiceWorker(onWaiting?: (useIt: () => void) => void): Promise<void> {
  if (import.meta.env.DEV || !('serviceWorker' in navigator)) return;
  let registration: ServiceWorkerRegistration;
  try {
    registration = await navigator.serviceWorker.register('/sw.js');
  } catch {
    // Private windows and some settings forbid it; the page works with a network all the same.
    return;
  }
  const offer = (worker: ServiceWorker | null) => {
    if (!worker || !navigator.serviceWorker.controller || !onWaiting) return;
    onWaiting(() => {
      navigator.serviceWorker.addEventListener('controllerchange', () => location.reload(), { once: true });
      worker.postMessage('use-new-version');
    });
  };
  offer(registration.waiting);
  registration.addEventListener('updatefound', () => {
    const worker = registration.installing;
    worker?.addEventListener('statechange', () => {
      if (worker.state === 'installed') offer(worker);
    });
  });
}
