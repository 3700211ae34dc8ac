import { Stryker } from '@stryker-mutator/core'

/**
 * Makes every mutant of `mutate` (files, or `FILE:LINE-LINE`) in a copy of the project and runs `tests` against it.
 * Resolves with Stryker's mutants: each has a `status`, `Killed` or `Timeout` when it was noticed.
 */
export function mutantsOf({ mutate, tests }, { jobs = 2, reporters = [] } = {}) {
  // One seed for all, so that no mutant is noticed by luck.
  process.env.SEED ??= '1'
  const stryker = new Stryker({
    mutate,
    testRunner: 'tap',
    plugins: ['./test/mutation/runner.mjs'],
    buildCommand: `node test/mutation/bundle.mjs ${tests.join(' ')}`,
    ignorePatterns: ['dist', 'docs', '.tap', '.mutation', 'manifests'],
    tempDirName: '.mutation/sandbox',
    // Tests make much that lives no longer than one simulated cycle.
    testRunnerNodeArgs: ['--max-semi-space-size=64'],
    concurrency: jobs,
    timeoutMS: 5000,
    reporters,
    checkers: [],
    disableTypeChecks: false,
    allowConsoleColors: false,
    logLevel: reporters.length > 0 ? 'info' : 'error',
    thresholds: { high: 100, low: 90, break: null },
  })
  return stryker.runMutationTest()
}
