'use strict';
// The desk's page: shows the state every two seconds and posts what is pressed. Text goes in as text, never as markup.
const main = document.getElementById('main');
const status = document.getElementById('status');
let shown = '';

const el = (name, props = {}, ...children) => {
  const node = Object.assign(document.createElement(name), props);
  node.append(...children);
  return node;
};
const link = (href, text = href) => el('a', { href, target: '_blank', rel: 'noreferrer', textContent: text });

async function post(path, body, said) {
  status.textContent = 'One moment …';
  const answer = await fetch(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  const json = await answer.json().catch(() => ({}));
  status.textContent = answer.ok ? said : `It did not work: ${json.error ?? json.title ?? answer.status}`;
  shown = '';
  await refresh();
}
const button = (text, path, body, said) => el('button', { type: 'button', textContent: text, onclick: () => post(path, body(), said) });

function people(s) {
  const list = el('ul');
  list.append(el('li', {}, el('strong', { textContent: 'Owner: ' }), link(s.wallet), el('p', { className: 'soft', textContent: 'Sign up with a passkey, link a car (any of the log-ins below), prove possession with the hands below.' })));
  for (const c of s.couriers) list.append(el('li', {}, el('strong', { textContent: `Courier ${c.name}: ` }), link(c.link, s.courier), el('p', { className: 'soft', textContent: `Code, for typing: ${c.code}` })));
  for (const p of s.staff) list.append(el('li', {}, el('strong', { textContent: `Operations, ${p.name}: ` }), link(p.url, s.ops), el('p', { className: 'soft', textContent: 'The link makes the passkey, once. Afterwards log in at the same address.' })));
  return list;
}

function parcels(s) {
  const list = el('ul');
  for (const d of s.deliveries) {
    const li = el('li', {}, el('strong', { textContent: `${d.labels.join(', ')}: ${d.state}${d.end ? `, ${d.end}` : ''}` }), el('br'));
    if (d.state === 'requested') li.append(link(d.consent_url, 'Put it in my car (opens the wallet)'));
    if (d.state === 'accepted') {
      li.append(button('Play the courier for me', '/play', () => ({ delivery: d.delivery }), 'Sam is on the way.'));
      for (const c of s.couriers) li.append(button(`Load it for ${c.name}`, '/load', () => ({ delivery: d.delivery, courier: c.courier }), `On ${c.name}'s van.`));
    }
    list.append(li);
  }
  return list;
}

function cars(s) {
  const list = el('ul');
  for (const c of s.cars) {
    const li = el('li', {}, el('strong', { textContent: `${c.maker}, log-in ${c.owner}` }), el('br'));
    const hand = (text, action) => button(text, '/hands', () => ({ maker: c.maker, vin: c.vin, action }), 'Done.');
    li.append(hand('Unlock with the key', { action: 'unlock_with_key' }), hand('Lock with the key', { action: 'lock_with_key' }));
    li.append(hand('Open the lid', { action: 'open_tailgate' }), hand('Close the lid', { action: 'close_tailgate' }));
    for (const door of ['front_left', 'front_right', 'rear_left', 'rear_right']) {
      const both = async () => {
        await post('/hands', { maker: c.maker, vin: c.vin, action: { action: 'open_door', door } }, 'Open.');
        await post('/hands', { maker: c.maker, vin: c.vin, action: { action: 'close_door', door } }, 'Opened and shut.');
      };
      if (c.maker !== 'onstar') li.append(el('button', { type: 'button', textContent: `Door ${door.replace('_', ' ')}`, onclick: both }));
    }
    list.append(li);
  }
  return list;
}

function depot(s) {
  const text = el('textarea', { rows: 3, id: 'qr' });
  const box = el('div', {}, el('label', { htmlFor: 'qr', textContent: "What the phone's QR says (the stop page shows it as text, too)" }), text);
  for (const c of s.couriers) box.append(button(`Certify for ${c.name}`, '/depot', () => ({ text: text.value, courier: c.courier }), 'Certified. A new device waits 30 minutes; in the demo it does not.'));
  return box;
}

async function refresh() {
  const answer = await fetch('/state');
  if (!answer.ok) return;
  const text = await answer.text();
  // What somebody is typing into is not taken away.
  if (text === shown || document.activeElement?.id === 'qr') return;
  shown = text;
  const s = JSON.parse(text);
  const qr = document.getElementById('qr')?.value ?? '';
  main.replaceChildren(
    el('h2', { textContent: 'Who you can be' }), people(s),
    el('h2', { textContent: 'Parcels' }),
    button('Send a parcel', '/parcels', () => ({}), 'Sent. Its link is below.'),
    button('Send two', '/parcels', () => ({ parcels: 2 }), 'Sent. Their link is below.'),
    button('Order a pick-up', '/parcels', () => ({ direction: 'take' }), 'Ordered. Its link is below.'),
    parcels(s),
    el('h2', { textContent: 'The courier, played' }), el('ol', {}, ...s.lines.map((l) => el('li', { textContent: l }))),
    el('h2', { textContent: 'Cars' }), cars(s),
    el('h2', { textContent: 'Depot' }), depot(s),
  );
  document.getElementById('qr').value = qr;
}
void refresh();
setInterval(() => void refresh().catch(() => {}), 2000);
