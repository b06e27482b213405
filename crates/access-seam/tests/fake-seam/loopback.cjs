// Loaded before the vendor's server: keeps it on the loopback interface, which it has no option for, and ends it with the
// test that started it.
'use strict'
const net = require('net')

const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port, ...rest) {
  if (typeof port === 'object' && port !== null) return listen.call(this, { ...port, host: '127.0.0.1' }, ...rest)
  return listen.call(this, port, '127.0.0.1', ...rest.filter((r) => typeof r === 'function'))
}
process.stdin.on('end', () => process.exit(0)).resume()
