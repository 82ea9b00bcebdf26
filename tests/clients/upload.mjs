// Drives an unmodified tus-js-client, for the tests in tests/e2e.
//
// The one argument is a JSON object:
//   endpoint, path      where to, and which file
//   options             options of tus.Upload as they are
//   store               a file for the URLs of uploads; one that is found there is resumed
//   stream              give the client a stream whose length it cannot see, as a recording has none
//   stopAfter           end this process without a word after a chunk has brought the upload that far
//   terminate           delete the upload once it is complete
// What happens is printed as one JSON object per line.

import { createReadStream } from 'node:fs'
import { PassThrough } from 'node:stream'
import * as tus from 'tus-js-client'

const task = JSON.parse(process.argv[2])
const tell = (event) => process.stdout.write(`${JSON.stringify(event)}\n`)
const requests = {}
let first = null

const file = createReadStream(task.path)
const upload = new tus.Upload(task.stream ? file.pipe(new PassThrough()) : file, {
  endpoint: task.endpoint,
  ...task.options,
  ...(task.store ? { urlStorage: new tus.FileUrlStorage(task.store) } : {}),
  onBeforeRequest: (request) => {
    requests[request.getMethod()] = (requests[request.getMethod()] ?? 0) + 1
  },
  onUploadUrlAvailable: () => tell({ event: 'url', url: upload.url }),
  onChunkComplete: (size, accepted) => {
    first ??= accepted - size
    if (task.stopAfter !== undefined && accepted >= task.stopAfter) process.exit(0)
  },
  onError: (error) => {
    tell({ event: 'error', message: String(error), requests })
    process.exitCode = 1
  },
  onSuccess: async () => {
    if (task.terminate) await upload.abort(true)
    tell({ event: 'success', url: upload.url, requests, first })
  },
})
const previous = task.store ? await upload.findPreviousUploads() : []
if (previous.length) upload.resumeFromPreviousUpload(previous[0])
upload.start()
