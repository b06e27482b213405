import { describe, expect, it } from 'vitest';
import { Outbox, type Piece, type Sent, type Shelf } from '$lib/offline/outbox';

const NOW = 1_795_446_000_000;
function memory(): Shelf<string> & { pieces: Map<string, Piece<string>> } {
  const pieces = new Map<string, Piece<string>>();
  return {
    pieces,
    all: async () => [...pieces.values()],
    put: async (piece) => void pieces.set(piece.key, piece),
    remove: async (key) => void pieces.delete(key),
  };
}
/** A network that answers as told, then goes. */
function network(answers: Sent[]): { send: (content: string) => Promise<Sent>; sent: string[] } {
  const sent: string[] = [];
  return { sent, send: async (content) => (sent.push(content), answers.shift() ?? 'later') };
}

describe('the outbox', () => {
  it('sends the oldest first and stops where the network stops', async () => {
    const [shelf, net] = [memory(), network(['done'])];
    const box = new Outbox(shelf, net.send);
    await box.keep('b', 'second', NOW + 1);
    await box.keep('a', 'first', NOW);
    await box.keep('c', 'third', NOW + 2);
    expect(await box.replay(NOW + 3)).toBe(2);
    expect(net.sent).toEqual(['first', 'second']);
    expect([...shelf.pieces.keys()].sort()).toEqual(['b', 'c']);
  });
  it('keeps one piece under one key, and twice is as good as once', async () => {
    const [shelf, net] = [memory(), network(['done', 'done'])];
    const box = new Outbox(shelf, net.send);
    await box.keep('close:x', 'shut', NOW);
    await box.keep('close:x', 'shut, handle held', NOW + 1);
    const [one, two] = await Promise.all([box.replay(NOW + 2), box.replay(NOW + 2)]);
    expect([one, two, net.sent]).toEqual([0, 0, ['shut, handle held']]);
  });
  it('drops what is refused for good and what is a week old', async () => {
    const [shelf, net] = [memory(), network(['refused', 'done'])];
    const box = new Outbox(shelf, net.send);
    await box.keep('old', 'of last week', NOW - 8 * 86_400_000);
    await box.keep('bad', 'bad', NOW);
    await box.keep('good', 'good', NOW + 1);
    expect(await box.replay(NOW + 2)).toBe(0);
    expect(net.sent).toEqual(['bad', 'good']);
    expect(await box.waiting()).toBe(0);
  });
});
