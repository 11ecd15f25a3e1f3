const http = require("http");
http.createServer((request, answer) => answer.end(`node ${process.version}: ${request.url}\n`)).listen(80);
