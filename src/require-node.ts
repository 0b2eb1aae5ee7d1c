/**
 * Every entry point imports this file first, and it imports nothing: on an old Node, the modules behind an entry point fail while
 * they load, with an error that says nothing of Node's version.
 */

/** The oldest Node that this package runs on: `engines` of package.json. */
const oldest = { major: 22, minor: 19 }

// a page in a browser has no `process`; Bun and Deno name a version of Node too, the one that they are like
const { node, bun, deno }: NodeJS.Dict<string> = typeof process === 'undefined' ? {} : process.versions

if (node !== undefined && bun === undefined && deno === undefined) {
  const [major = 0, minor = 0] = node.split('.').map(Number)
  if (major < oldest.major || (major === oldest.major && minor < oldest.minor)) {
    throw new Error(`unbusy needs Node ${oldest.major}.${oldest.minor} or newer, this is v${node}`)
  }
}
