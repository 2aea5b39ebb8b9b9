/** The global under which the counters of all instrumented modules lie, by path. */
export const COUNTERS = '__counters__';
/** The global function that stands in the place of `===`; it is told the number of the place, and both sides. */
export const NEAR = '__near__';
