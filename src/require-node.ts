/**
 * Every entry point imports this file first, and it imports nothing: on an old Node.js, the other modules fail to load with an error that
 * does not mention Node's version.
 */

/** The oldest Node that this package runs on: `engines` of package.json. */
const oldest = { major: 22, minor: 19 }

// browsers have no `process`; Bun and Deno also report the version of Node that they are compatible with
const { node, bun, deno }: NodeJS.Dict<string> = typeof process === 'undefined' ? {} : process.versions

if (node !== undefined && bun === undefined && deno === undefined) {
  const [major = 0, minor = 0] = node.split('.').map(Number)
  if (major < oldest.major || (major === oldest.major && minor < oldest.minor)) {
    throw new Error(`unbusy needs Node ${oldest.major}.${oldest.minor} or newer, but this is v${node}`)
  }
}
