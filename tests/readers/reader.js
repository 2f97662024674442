// SPDX-License-Identifier: Apache-2.0
// Tells what Node has read; see reader.h. node reader.js PORT
'use strict';
const http = require('http');

const server = http.createServer({keepAliveTimeout: 0, requestTimeout: 0, headersTimeout: 0, maxHeaderSize: 65536},
  (request, response) => {
    const body = [];
    request.on('data', (piece) => body.push(piece));
    request.on('end', () => {
      let fields = '';
      for (let i = 0; i < request.rawHeaders.length; i += 2)
        fields += `${request.rawHeaders[i]}:${request.rawHeaders[i + 1]}\n`;
      const told = Buffer.concat([Buffer.from(`${fields}\n`, 'latin1'), ...body]);
      response.writeHead(200, {
        'X-Read': `${request.method} ${request.url} ${request.headers.host}`,
        'Content-Length': told.length,
      });
      response.end(told);
    });
  });
server.listen(Number(process.argv[2]), '127.0.0.1');
