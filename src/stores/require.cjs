// In CommonJS, where `require` looks from this file's place. ECMAScript's `import.meta.url` tells that place too, but is
// `undefined` in CommonJS bundles, and a syntax error where Jest runs what it has transformed.

/** Bundlers read this name, and put the package into the bundle. It is the copy that MongoDB's driver has. */
function requireBSON() {
  return /** @type {typeof import('bson')} */ (require('bson'))
}

exports.requireBSON = requireBSON

/** Bundlers do not see what this requires: native code cannot be put into a bundle. */
exports.requireNative = require
