import { describe, expect, it } from 'vitest';
import { Outbox, type Piece, type Sent, type Shelf } from '$lib/offline/outbox';

const NOW = 1_795_446_000_000;
function memory(): Shelf<string> & { pieces: Map<string, Piece<string>> } {
  const pieces = new Map<string, Piece<string>>();
  return {
    pieces,
    all: async () => [...pieces.values()],
    put: async (piece) => void pieces.set(piece.key, piece),
    remove: async (key, atMs) => void (pieces.get(key)?.atMs === atMs && pieces.delete(key)),
  };
}
/** A network that answers as told, then goes. */
function network(answers: Sent[]): { send: (content: string) => Promise<Sent>; sent: string[] } {
  const sent: string[] = [];
  return { sent, send: async (content) => (sent.push(content), answers.shift() ?? 'later') };
}

describe('the outbox', () => {
  it('sends the oldest first, and what does not get through keeps nothing else back', async () => {
    const [shelf, net] = [memory(), network(['later', 'done', 'later'])];
    const box = new Outbox(shelf, net.send);
    await box.keep('b', 'second', NOW + 1);
    await box.keep('a', 'first', NOW);
    await box.keep('c', 'third', NOW + 2);
    expect(await box.replay(NOW + 3)).toBe(2);
    expect(net.sent).toEqual(['first', 'second', 'third']);
    expect([...shelf.pieces.keys()].sort()).toEqual(['a', 'c']);
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
  it('says what was refused for good', async () => {
    const [shelf, net, refused] = [memory(), network(['refused']), [] as string[]];
    const box = new Outbox(shelf, net.send);
    box.onRefused = (content) => refused.push(content);
    await box.keep('bad', 'bad', NOW);
    await box.replay(NOW);
    expect(refused).toEqual(['bad']);
  });
  it('sends what is urgent before what is older', async () => {
    const [shelf, net] = [memory(), network(['done', 'done'])];
    const box = new Outbox(shelf, net.send, (content) => content.startsWith('close'));
    await box.keep('photo:1', 'photo', NOW);
    await box.keep('close:x', 'close', NOW + 1);
    await box.replay(NOW + 2);
    expect(net.sent).toEqual(['close', 'photo']);
  });
  it('sends what became urgent during a long sending next', async () => {
    const [shelf, sent] = [memory(), [] as string[]];
    const box: Outbox<string> = new Outbox(
      shelf,
      async (content) => {
        sent.push(content);
        if (content === 'photo 1') await box.keep('close:x', 'close', NOW + 9);
        return 'done';
      },
      (content) => content === 'close',
    );
    await box.keep('photo:1', 'photo 1', NOW);
    await box.keep('photo:2', 'photo 2', NOW + 1);
    expect(await box.replay(NOW + 2)).toBe(0);
    expect(sent).toEqual(['photo 1', 'close', 'photo 2']);
  });
  it('does not remove a newer piece of the same key that was kept while the older one was sent', async () => {
    const shelf = memory();
    const sent: string[] = [];
    const box: Outbox<string> = new Outbox(shelf, async (content) => {
      sent.push(content);
      if (content === 'shut') {
        await box.keep('close:x', 'shut, handle held', NOW + 1);
        expect([...shelf.pieces.values()].map((p) => p.content)).toEqual(['shut, handle held']);
      }
      return 'done';
    });
    await box.keep('close:x', 'shut', NOW);
    expect(await box.replay(NOW + 2)).toBe(0);
    expect(sent).toEqual(['shut', 'shut, handle held']);
  });
  it('keeps first, then sends, and nobody else sends it meanwhile', async () => {
    const [shelf, sent] = [memory(), [] as string[]];
    const box: Outbox<string> = new Outbox(shelf, async (content) => {
      sent.push(content);
      expect([...shelf.pieces.keys()]).toEqual(['photo:1']);
      expect(await box.replay(NOW)).toBe(1);
      return 'done';
    });
    expect(await box.post('photo:1', 'photo', NOW)).toBe('done');
    expect([sent, shelf.pieces.size]).toEqual([['photo'], 0]);
  });
  it('sends although nothing can be kept, and says so when neither was possible', async () => {
    const net = network(['done', 'later']);
    const full = { ...memory(), put: () => Promise.reject(new Error('no room')) };
    const box = new Outbox(full, net.send);
    expect(await box.post('photo:1', 'photo', NOW)).toBe('done');
    await expect(box.post('photo:2', 'photo', NOW)).rejects.toThrow('no room');
  });
});
