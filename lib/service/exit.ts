/** Exit codes of the programs, so that a supervisor can tell mistakes that a restart cannot mend from those it can. */

/** EX_CONFIG of sysexits.h: the configuration is wrong; starting again with the same one is useless. */
export const EXIT_CONFIG = 78
/** The command line is wrong, as most shells' tools say it. */
export const EXIT_USAGE = 2
