/**
 * Mutants that no test can notice, because what the program does is the same: each with the line as it is, what stands
 * in its place, and why nobody could tell. They are left out of the score and counted in the report.
 */
export const EQUIVALENTS = []
