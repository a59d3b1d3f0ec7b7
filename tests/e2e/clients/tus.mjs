// Upload a file with tus-js-client, interrupt the upload once, and print the id of the file.
// node tus.mjs FOLDER-OF-NODE-MODULES URL FILE PARALLEL
import { createRequire } from 'node:module'
import fs from 'node:fs'

const [modules, endpoint, path, parallel] = process.argv.slice(2)
const tus = createRequire(`${modules}/`)('tus-js-client')
let fileId = ''
let breaks = 1

function begin() {
  const upload = new tus.Upload(fs.createReadStream(path), {
    endpoint,
    chunkSize: Number(parallel) > 1 ? Infinity : 1024 * 1024,
    parallelUploads: Number(parallel),
    metadata: { filename: 'from tus-js-client.bin' },
    onAfterResponse: (_request, response) => {
      fileId = response.getHeader('Pixmill-File-Id') || fileId
    },
    onChunkComplete: (_size, accepted) => {
      if (Number(parallel) === 1 && accepted > 1024 * 1024 && breaks-- > 0) {
        upload.abort().then(() => upload.start())
      }
    },
    onError: (error) => {
      console.error(error)
      process.exit(1)
    },
    onSuccess: () => console.log(fileId),
  })
  upload.start()
}

begin()
