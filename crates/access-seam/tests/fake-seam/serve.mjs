// Runs the vendor's own stand-in for its cloud: `serve.mjs MODULES PORT`. On the loopback interface only, for which it has no
// option. Prints a line of JSON when it listens, then does what each line of its standard input says, and answers each with a
// line. Ends when its standard input ends, which it does however the test ends.
import net from 'node:net'
import path from 'node:path'
import readline from 'node:readline'
import { pathToFileURL } from 'node:url'

const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port, ...rest) {
  if (typeof port === 'object' && port !== null) return listen.call(this, { ...port, host: '127.0.0.1' }, ...rest)
  return listen.call(this, port, '127.0.0.1', ...rest.filter((r) => typeof r === 'function'))
}

const [modules, port] = process.argv.slice(2)
const vendor = path.join(modules, 'node_modules/@seamapi/fake-seam-connect/dist/index.js')
const { createFake } = await import(pathToFileURL(vendor).href)
const fake = await createFake()
await fake.seed()
await fake.startServer({ port: Number(port) })
const { database } = fake

// What the vendor's test interface over HTTP cannot do: it has nothing for a device that changes by itself, and putting the
// whole database there takes the server's own functions with it.
const deeds = {
  put: ({ device_id, property, value }) =>
    database.getState().updateDevice({ device_id, properties: { [property]: value } }),
  delete_key: ({ token }) =>
    database.setState({ api_keys: database.getState().api_keys.filter((key) => key.token !== token) }),
  forget_attempts: () => database.setState({ action_attempts: [] }),
}
console.log(JSON.stringify({ listens: true }))
for await (const line of readline.createInterface({ input: process.stdin })) {
  const told = JSON.parse(line)
  deeds[told.deed](told)
  console.log(JSON.stringify({ done: told.deed }))
}
process.exit(0)
