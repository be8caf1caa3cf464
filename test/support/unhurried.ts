/**
 * For servers of the tests. One that closes an idle connection just as a visitor uses it, as happens on a busy machine,
 * resets what it was asked.
 */
export const unhurried = { keepAliveTimeout: 0 }
