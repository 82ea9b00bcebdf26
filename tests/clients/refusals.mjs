// Sends content that is refused with Node's own client, again and again, and prints how often the answer was read.
import http from "node:http";

const [url, runs, length] = [process.argv[2], Number(process.argv[3]), Number(process.argv[4])];
const piece = Buffer.alloc(1024 * 1024);

function once() {
  return new Promise((resolve) => {
    const fields = { "Tus-Resumable": "1.0.0", "Upload-Offset": "0", "Content-Type": "application/offset+octet-stream", "Content-Length": length };
    const request = http.request(url, { method: "PATCH", headers: fields, agent: false }, (response) => {
      response.resume();
      resolve(String(response.statusCode));
    });
    request.on("error", (error) => resolve(error.code));
    let sent = 0;
    const write = () => {
      while (sent < length && !request.destroyed) {
        sent += piece.length;
        if (!request.write(piece)) {
          request.once("drain", write);
          return;
        }
      }
      request.end();
    };
    write();
  });
}

const seen = {};
for (let run = 0; run < runs; run++) {
  const outcome = await once();
  seen[outcome] = (seen[outcome] ?? 0) + 1;
}
console.log(JSON.stringify(seen));
