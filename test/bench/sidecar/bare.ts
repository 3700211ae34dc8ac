import { createServer } from 'node:http'

/** The least that a process in Node can be that answers a scrape. */
const text = '# HELP up Always 1.\n# TYPE up gauge\nup 1\n'
createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'text/plain; version=0.0.4' }).end(text)
}).listen(Number(process.env['PORT']), '127.0.0.1')
