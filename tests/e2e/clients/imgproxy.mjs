// Print the URLs that imgproxy's own client creates, one per line.
// node imgproxy.mjs FOLDER-OF-NODE-MODULES ENDPOINT SOURCE KEY SALT
import { createRequire } from 'node:module'

const [modules, endpoint, url, key, salt] = process.argv.slice(2)
const { generateImageUrl } = createRequire(`${modules}/`)('@imgproxy/imgproxy-node')
const options = { width: 64, height: 48, resizing_type: 'fill', format: 'png' }

console.log(generateImageUrl({ endpoint, url, options, key, salt }))
console.log(generateImageUrl({ endpoint, url, options }))
