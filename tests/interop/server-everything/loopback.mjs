// Loaded before the server: a listen() without a host would mean every interface.
import { Server } from 'node:net';

const listen = Server.prototype.listen;
Server.prototype.listen = function (port, ...rest) {
  if (/^\d+$/.test(String(port)) && typeof rest[0] !== 'string') return listen.call(this, Number(port), '127.0.0.1', ...rest);
  return listen.call(this, port, ...rest);
};
