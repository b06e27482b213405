// A page's heap, as its developer tools see it: what is in it, and who holds it.

/** Every string and number of the page's heap, after what nobody holds was collected. */
export async function heapOf(cdp) {
  const chunks = [];
  cdp.on('HeapProfiler.addHeapSnapshotChunk', ({ chunk }) => chunks.push(chunk));
  await cdp.send('HeapProfiler.enable');
  await cdp.send('HeapProfiler.collectGarbage');
  await cdp.send('HeapProfiler.takeHeapSnapshot', { reportProgress: false, captureNumericValue: true });
  await cdp.send('HeapProfiler.disable');
  return JSON.parse(chunks.join(''));
}

/** How many objects of the browser's own there are of this name, as `CryptoKey`. */
export function countOf({ snapshot, nodes, strings }, name) {
  const { node_fields: fields, node_types: types } = snapshot.meta;
  const [typeAt, nameAt] = [fields.indexOf('type'), fields.indexOf('name')];
  let count = 0;
  for (let n = 0; n < nodes.length; n += fields.length) {
    if (types[typeAt][nodes[n + typeAt]] === 'native' && strings[nodes[n + nameAt]] === name) count += 1;
  }
  return count;
}

/** The shortest way from a root to something whose text has `needle`, a line for each step; empty where nothing has. */
export function heldBy({ snapshot, nodes, edges, strings }, needle) {
  const { node_fields: nf, node_types: nt, edge_fields: ef, edge_types: et } = snapshot.meta;
  const [N, E] = [nf.length, ef.length];
  const at = (name) => nf.indexOf(name);
  const [typeAt, nameAt, countAt] = [at('type'), at('name'), at('edge_count')];
  const first = new Uint32Array(nodes.length / N + 1);
  for (let n = 0; n < nodes.length / N; n++) first[n + 1] = first[n] + nodes[n * N + countAt];
  const from = new Int32Array(nodes.length / N).fill(-1);
  const by = new Int32Array(nodes.length / N);
  const queue = [0];
  from[0] = 0;
  for (const n of queue) {
    if (n > 0 && strings[nodes[n * N + nameAt]].includes(needle)) return way(n);
    for (let e = first[n]; e < first[n + 1]; e++) {
      const to = edges[e * E + ef.indexOf('to_node')] / N;
      if (from[to] >= 0 || et[0][edges[e * E]] === 'weak') continue;
      from[to] = n;
      by[to] = e;
      queue.push(to);
    }
  }
  return [];
  function way(n) {
    const steps = [];
    for (; n > 0; n = from[n]) {
      const [type, name] = [et[0][edges[by[n] * E]], edges[by[n] * E + 1]];
      const called = type === 'element' || type === 'hidden' ? `[${name}]` : strings[name];
      steps.unshift(`${type} ${called} -> ${nt[0][nodes[n * N + typeAt]]} ${strings[nodes[n * N + nameAt]].slice(0, 80)}`);
    }
    return steps;
  }
}
