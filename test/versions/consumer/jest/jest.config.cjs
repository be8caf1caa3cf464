// As Jest's users have it: all is CommonJS, and ECMAScript packages are transformed.
const targets = { node: 'current' }

module.exports = {
  testEnvironment: 'node',
  transformIgnorePatterns: ['node_modules/(?!(koa-atomic-session|parse-duration)/)'],
  transform: { '\\.[cm]?js$': ['babel-jest', { presets: [['@babel/preset-env', { targets }]] }] },
}
